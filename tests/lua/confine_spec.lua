--- sm.host.confine, restrict and wipe_environment as Lua has them; tests/c/test_confine*.c try what the system holds.
local tiny = require "tests.lua.tiny_experiment"
local helpers = dofile "tests/lua/helpers.lua"

local workspace

--- Runs Lua code in a process of its own, where `host`, `readable` and `writable` are known; what it prints, and how it
--- ended.
local function run(code)
  local preface = ('local host, readable, writable = require "sm.host", "%s/readable", "%s/writable"\n'):format(
    workspace, workspace)
  tiny.write(workspace .. "/code.lua", preface .. code)
  local command = ("SECRET=word timeout 60 '%s' -e \"$(cat '%s/code.lua')\" 2>&1"):format(helpers.smrun, workspace)
  local pipe = io.popen(command)
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

describe("a process that confines itself", function()
  setup(function()
    workspace = tiny.workspace()
    os.execute(("mkdir -p '%s/readable' '%s/writable'"):format(workspace, workspace))
    tiny.write(workspace .. "/readable/file", "granted")
    tiny.write(workspace .. "/canary", "not granted")
  end)

  teardown(function() tiny.remove(workspace) end)

  it("is told which argument is none", function()
    for _, call in ipairs { "confine()", "confine(1)", "confine { read = 1 }", "confine { read = { 1 } }",
      "confine { write = { 'a\\0b' } }", "restrict()", "restrict { memory = 'much' }", "restrict { cpu = 0 }",
      "restrict { file = 1.5 }", "confine { write = { writable .. '/absent' } }" } do
      local output = run(("print(pcall(function() host.%s end))"):format(call))
      assert.matches("^false\t", output, call)
    end
  end)

  it("reads and writes what it was granted", function()
    local output = run [[
      local ok, why = pcall(host.confine, { read = { readable, "/absent" }, write = { writable } })
      if not ok then return print("cannot", why) end
      print(io.open(readable .. "/file"):read "a")
      assert(io.open(writable .. "/new", "w")):write "own"
      for _, path in ipairs { readable .. "/../canary", writable .. "/../canary", "/etc/passwd" } do
        print(io.open(path) or io.open(path, "a"))
      end
      print(io.open(readable .. "/file", "a"), os.remove(readable .. "/file"))
      print(os.execute "true", pcall(io.popen, "true"))
      print(pcall(host.confine, {}))]]
    if output:match "^cannot" then return pending("not tried: " .. output) end
    assert.matches("^granted\n", output)
    assert.equals("granted", tiny.read(workspace .. "/readable/file"))
    assert.equals("not granted", tiny.read(workspace .. "/canary"))
    assert.equals("own", tiny.read(workspace .. "/writable/new"))
    assert.is_nil(output:match "file %(", "something else was opened: " .. output)
    assert.is_nil(output:match "true\texit", "a program ran: " .. output)
    assert.matches("confined already", output)
  end)

  it("gets an error where its memory ends", function()
    local output, status = run [[
      host.restrict { memory = 64 << 20, descriptors = 64, cpu = 60, file = 1 << 20 }
      print(pcall(string.rep, "x", 128 << 20))
      local file = io.open(writable .. "/long", "w")
      file:setvbuf "no"
      print(file:write(("x"):rep(2 << 20)))]]
    assert.matches("^false\tnot enough memory\n", output)
    assert.matches("File too large", output)
    assert.equals(0, status or 0)
  end)

  it("has no environment when that is wiped", function()
    local output = run [[
      print(os.getenv "SECRET")
      host.wipe_environment()
      print(os.getenv "SECRET", os.getenv "PATH", (io.open "/proc/self/environ":read "a":gsub("\0", "")))]]
    assert.equals("word\nnil\tnil\t\n", output)
  end)
end)
