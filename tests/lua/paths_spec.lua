--- Paths: what lies beneath a directory of somebody else's is reached through no link, and nothing there is waited for.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local beneath = runtime.io.beneath
local has, read, write = helpers.has, helpers.read, helpers.write

local function sh(format, ...)
  assert(os.execute(format:format(...)))
end

local function workspace()
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  return path
end

--- What may lie in the place of a file, by what makes it. A socket stays when the process that made it is gone.
local function things(outside)
  return {
    ["a symbolic link"] = function(path) assert(lfs.link(outside, path, true)) end,
    ["a named pipe"] = function(path) sh("mkfifo '%s'", path) end,
    ["a directory"] = function(path) assert(lfs.mkdir(path)) end,
    ["a socket"] = function(path)
      sh("perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) or exit 1' '%s'", path)
    end,
  }
end

describe("beneath a directory", function()
  local top, inner, outside
  before_each(function()
    top = workspace()
    inner, outside = top .. "/in", top .. "/outside"
    assert(lfs.mkdir(inner))
    write(outside, "secret")
  end)
  after_each(function() sh("rm -rf '%s'", top) end)

  it("files are read, written, appended to and removed", function()
    assert.same({ nil, nil }, { beneath.read(inner, "a/b/c", 10) })
    assert.is_true(beneath.make(inner, "a/b"))
    assert.is_true(beneath.make(inner, "a/b"))
    assert.is_true(beneath.write(inner, "a/b/c", "te\0xt"))
    assert.equal("te\0xt", beneath.read(inner, "a/b/c", 5))
    local kind, bytes, seconds, nanoseconds, runs = beneath.status(inner, "a/b/c")
    assert.same({ "file", 5, lfs.attributes(inner .. "/a/b/c", "modification"), false }, { kind, bytes, seconds, runs })
    assert.is_true(nanoseconds >= 0 and nanoseconds < 1000000000)
    local file = assert(beneath.open(inner, "a/b/log", "a"))
    file:write "1"
    assert.is_true(file:close())
    file = beneath.open(inner, "a/b/log", "a")
    file:write "2"
    file:close()
    assert.equal("12", beneath.read(inner, "a/b/log", 100))
    assert.is_nil((beneath.open(inner, "a/b/none", "r+")))
    assert.same({ c = "file", log = "file" }, beneath.list(inner, "a/b"))
    assert.is_true(beneath.remove(inner, "a"))
    assert.is_true(beneath.remove(inner, "a"))
    assert.is_nil((beneath.list(inner, "a")))
    assert.is_nil((beneath.status(inner, "a")))
  end)

  it("the directory itself may be reached through links", function()
    assert(lfs.link(inner, top .. "/link", true))
    assert.is_true(beneath.write(top .. "/link", "x", "1"))
    assert.equal("1", beneath.read(top .. "/link/", "x", 1))
  end)

  it("a file has its limit", function()
    write(inner .. "/x", "12345")
    local text, reason = beneath.read(inner, "x", 4)
    assert.is_nil(text)
    has(reason, inner .. "/x: expected at most 4 bytes, found 5")
    sh("truncate -s 1P '%s/sparse' 2>/dev/null || truncate -s 1T '%s/sparse'", inner, inner)
    assert.is_nil((beneath.read(inner, "sparse", 1 << 20)))
  end)

  it("no name leads out of it", function()
    for _, name in ipairs { "..", ".", "", "../outside", "a/../../outside", "/outside", "a//b", "x/", ("n"):rep(300),
      ("a/"):rep(3) .. "..", outside } do
      for _, f in ipairs { beneath.read, beneath.write, beneath.open, beneath.status, beneath.list, beneath.make,
        beneath.remove } do
        local result, reason = f(inner, name, f == beneath.read and 10 or f == beneath.open and "a" or "x")
        assert.is_nil(result)
        has(reason or "expected names", "expected names")
      end
    end
    assert.equal("secret", read(outside))
    for _, name in ipairs { "a\0b", 5 } do
      has(helpers.error_of(beneath.read, inner, name, 1), "a name")
    end
    has(helpers.error_of(beneath.read, "", "x", 1), "a directory")
  end)

  for what in pairs(things()) do
    it(("%s is neither opened nor changed in a file's place"):format(what), function()
      local path = inner .. "/x"
      things(outside)[what](path)
      for _, f in ipairs { beneath.read, beneath.write, beneath.open } do
        local result, reason = f(inner, "x", f == beneath.read and 10 or f == beneath.open and "a" or "x")
        assert.is_nil(result)
        has(reason, path .. ": expected a file")
        has(reason, "found " .. what)
      end
      assert.is_nil((beneath.open(inner, "x", "r+")))
      has(helpers.error_of(runtime.io.open_safetensors, path, #inner), "found " .. what)
      has(helpers.error_of(runtime.io.create, path, #inner), "found " .. what)
      assert.is_true(beneath.remove(inner, "x"))
      assert.is_nil(lfs.symlinkattributes(path, "mode"))
      assert.equal("secret", read(outside))
    end)
  end

  it("a device is not opened either", function()
    for _, name in ipairs { "zero", "full", "null", "tty" } do
      local text, reason = beneath.read("/dev", name, 10)
      assert.is_nil(text)
      has(reason, "found a device")
    end
  end)

  it("no link on the way is followed", function()
    assert(lfs.mkdir(top .. "/other"))
    write(top .. "/other/x", "secret")
    assert(lfs.link(top .. "/other", inner .. "/link", true))
    for _, f in ipairs { beneath.read, beneath.write, beneath.open, beneath.make, beneath.remove } do
      local result, reason = f(inner, f == beneath.make and "link" or "link/x",
        f == beneath.read and 10 or f == beneath.open and "a" or "x")
      assert.is_nil(result)
      has(reason, inner .. "/link: expected a directory, found a symbolic link")
    end
    assert.is_nil((beneath.list(inner, "link")))
    assert.is_nil((beneath.status(inner, "link/x")))
    assert.equal("link", (beneath.status(inner, "link")))
    has(helpers.error_of(runtime.io.open_safetensors, inner .. "/link/x", #inner), "found a symbolic link")
    has(helpers.error_of(runtime.io.create, inner .. "/link/x", #inner), "found a symbolic link")
    assert.is_true(beneath.make(inner, "a"))
    assert(lfs.link(top .. "/other", inner .. "/a/link", true))
    assert.is_true(beneath.remove(inner, "a"))
    assert.is_true(beneath.remove(inner, "link"))
    assert.equal("secret", read(top .. "/other/x"))
  end)

  it("nothing stays open, whatever happens", function()
    local function count()
      local number = 0
      for _ in lfs.dir "/proc/self/fd" do number = number + 1 end
      return number
    end
    assert(lfs.link(outside, inner .. "/link", true))
    write(inner .. "/x", "12345")
    local before = count()
    for _ = 1, 50 do
      beneath.read(inner, "link", 1)
      beneath.read(inner, "link/x", 1)
      beneath.read(inner, "x", 1)
      beneath.read(inner, "x", 5)
      beneath.write(inner, "link", "x")
      beneath.list(inner, "x")
      beneath.list(top, "in")
      beneath.status(inner, "x/y")
      beneath.make(inner, "a/b")
      beneath.remove(inner, "a")
      pcall(runtime.io.create, inner .. "/link", #inner)
    end
    assert.equal(before, count())
  end)
end)

describe("in a run directory of somebody else's", function()
  local tiny = dofile "tests/lua/tiny_experiment.lua"
  local top, finished, unfinished, secret, victims

  setup(function()
    top = tiny.workspace()
    write(top .. "/blocks.lua", "return 'of a module'\n")
    write(top .. "/tiny.lua", 'require "blocks"\n' .. tiny.text)
    local output, code = tiny.smrun(("'%s/tiny.lua' --runs '%s/runs' --quiet"):format(top, top))
    assert.equal(0, code, output)
    output, code = tiny.stopped { workspace = top, at = "loss 10", arguments = "tiny.lua seed=2 --quiet" }
    assert.equal(137, code, output)
    finished, unfinished = top .. "/runs/tiny/default", top .. "/runs/tiny/seed=2"
  end)
  teardown(function() sh("rm -rf '%s'", top) end)

  before_each(function()
    secret = top .. "/elsewhere"
    assert(lfs.mkdir(secret))
    for i, name in ipairs { "step-000005.safetensors", "step-000001.safetensors", ".step-000001.safetensors.tmp-1",
      "picture-000012.png", "picture.png", "a.lua", "text" } do
      write(secret .. "/" .. name, "secret of somebody " .. i)
    end
    victims = io.popen(("cd '%s' && ls -Al && cksum * .step*"):format(secret)):read "a"
  end)
  after_each(function() sh("rm -rf '%s' '%s/copy'", secret, top) end)

  --- A copy of a run in which `name` is something else.
  local function copy(run, name, make)
    sh("rm -rf '%s/copy' && mkdir '%s/copy' && cp -a '%s' '%s/copy/run'", top, top, run, top)
    local path = top .. "/copy/run/" .. name
    sh("rm -rf '%s'", path)
    make(path)
    return top .. "/copy/run"
  end

  --- Runs a command on the copy: it ends soon, has no error from inside, and neither shows nor changes what is
  --- elsewhere.
  local function try(command)
    local program = os.getenv "SMRUN" or "build/smrun"
    local pipe = io.popen(("timeout 60 %s %s '%s/copy/run' 2>&1 </dev/null"):format(program, command, top))
    local output = pipe:read "a"
    local _, _, code = pipe:close()
    assert.is_true(code < 124, command .. " did not end: " .. output)
    assert.is_nil(output:find("secret of somebody", 1, true), output)
    assert.is_nil(output:find("lua/sm/", 1, true), output)
    local left = io.popen(("cd '%s' && ls -Al && cksum * .step*"):format(secret)):read "a"
    assert.equal(victims, left, command)
    local page = top .. "/copy/run/report.html"
    if lfs.symlinkattributes(page, "mode") == "file" then
      assert.is_nil(read(page):find("secret of somebody", 1, true))
    end
    return code, output
  end

  local commands <const> = { "resume", "eval", "report", "compare" }
  local inside <const> = { "experiment.lua", "params.json", "environment.json", "metrics.csv", "summary.json",
    "spent.json", "log.txt", "report.html", "modules/blocks.lua" }
  local read_by <const> = { ["spent.json"] = "resume", ["log.txt"] = "resume", ["report.html"] = "report",
    ["summary.json"] = "resume report compare", ["modules/blocks.lua"] = "resume eval",
    ["metrics.csv"] = "resume report compare" }
  local tried_by_all <const> = { ["a symbolic link"] = true, ["a named pipe"] = true } -- others by a command in turn

  for what, make in pairs(things()) do
    it(("no file may be %s"):format(what), function()
      for i, name in ipairs(inside) do
        for _, command in ipairs(tried_by_all[what] and commands or { commands[1 + i % 4] }) do
          copy(unfinished, name, what == "a symbolic link" and function(path)
            assert(lfs.link(secret .. "/text", path, true))
          end or make)
          local code, output = try(command)
          if (read_by[name] or "resume eval report compare"):find(command, 1, true) then
            has(output, (name:match "[^/]*$"))
            assert.not_equal(0, code, ("%s with %s: %s"):format(command, name, output))
          end
        end
      end
    end)
  end

  it("no device and no other run's file is read by a link", function()
    for i, target in ipairs { "/dev/zero", "/dev/full", "/proc/self/environ", finished .. "/summary.json" } do
      for j, name in ipairs(inside) do
        copy(unfinished, name, function(path) assert(lfs.link(target, path, true)) end)
        local _, output = try(commands[1 + (i + j) % 4])
        assert.is_nil(output:find("finished before", 1, true), output)
      end
    end
  end)

  for _, name in ipairs { "checkpoints", "plots", "modules" } do
    it(name .. " may not be a link to somebody's directory", function()
      for _, run in ipairs { finished, unfinished } do
        for _, command in ipairs(commands) do
          copy(run, name, function(path) assert(lfs.link(secret, path, true)) end)
          local code, output = try(command)
          if name == "checkpoints" and run == unfinished then
            assert.not_equal(0, code)
            has(output, "expected a directory, found a symbolic link; only a whole run directory may be one")
          end
        end
      end
    end)
  end

  it("a picture's place may not be a link", function()
    for _, name in ipairs { "plots/picture-000012.png", "plots/picture.png", "plots/picture-000012.csv" } do
      copy(unfinished, name, function(path) assert(lfs.link(secret .. "/text", path, true)) end)
      local code, output = try "resume"
      assert.not_equal(0, code)
      has(output, name .. ": expected a file")
    end
  end)

  it("checkpoints that are links are not followed, and go as links", function()
    for _, name in ipairs { "step-000001.safetensors", "step-000010.safetensors", "step-000012.safetensors",
      ".step-000001.safetensors.tmp-1" } do
      copy(unfinished, "checkpoints/" .. name, function(path)
        assert(lfs.link(secret .. "/step-000001.safetensors", path, true))
      end)
      for _, command in ipairs(commands) do try(command) end
    end
  end)

  it("a checkpoint of a step beyond all numbers is none", function()
    for _, step in ipairs { "99999999999999999999999", "7", "1e3" } do
      copy(unfinished, ("checkpoints/step-%s.safetensors"):format(step), function(path) write(path, "x") end)
      for _, command in ipairs(commands) do
        local code, output = try(command)
        assert.equal(0, code, output)
      end
    end
  end)

  it("what is larger than any run's is not read", function()
    for _, name in ipairs { "metrics.csv", "params.json", "environment.json", "summary.json", "experiment.lua" } do
      copy(unfinished, name, function(path) sh("truncate -s 64G '%s'", path) end)
      for _, command in ipairs { "resume", "report" } do
        local code, output = try(command)
        if (read_by[name] or command):find(command, 1, true) then
          assert.not_equal(0, code)
          has(output, name .. ": expected at most")
        end
      end
    end
  end)
end)

-- A text that an experiment reads from a file beside it, whose name has an end that may be there.
local TOLD <const> = [[
local function told(name)
  local file <close> = io.open(name .. ".lua")
  return file and file:read "a"
end
]]

describe("a name leads nowhere but into the runs directory", function()
  local tiny = dofile "tests/lua/tiny_experiment.lua"
  local top
  before_each(function()
    top = tiny.workspace()
    assert(lfs.mkdir(top .. "/desk"))
    write(top .. "/desk/tiny.lua", TOLD .. tiny.text:gsub("blow_up = 0,", 'blow_up = 0, note = told "note" or "x",')
      :gsub("return sm.experiment {", 'return sm.experiment { name = told "name",')
      :gsub('name = "picture"', 'name = told "view" or "picture"'))
  end)
  after_each(function() sh("rm -rf '%s'", top) end)

  --- Runs a command where it may write below `runs` alone.
  local function try(command, runs)
    local code, output, errors = helpers.shell(top .. "/desk", "timeout 60 " .. command)
    for _, name in ipairs { "out", "err" } do os.remove(top .. "/desk/" .. name) end
    assert.is_true(code < 124, errors)
    assert.is_nil(errors:find("lua/sm/", 1, true), errors)
    assert.is_nil(errors:find "[\0-\8\11-\31\127]", errors)
    for name in lfs.dir(top) do assert.truthy(({ ["."] = 1, [".."] = 1, desk = 1, ["tiny.lua"] = 1 })[name], name) end
    for name in lfs.dir(top .. "/desk") do
      assert.is_true(name == "." or name == ".." or name:find "%.lua$" ~= nil or name == (runs or "runs"), name)
    end
    return code, output, errors
  end

  local hostile <const> = { "../../x", "..", ".", "...", "/", "/etc/x", "a/../../b", "a\nb", "a\27[31m", "-rf", "~",
    "$HOME", "a%2F..", ".hidden", ("n"):rep(300), "\xE2\x80\xAE", "" }

  it("of an experiment", function()
    for _, name in ipairs(hostile) do
      write(top .. "/desk/name.lua", name)
      for _, trust in ipairs { "", "--trust" } do
        local code, _, errors = try(("$SMRUN %s tiny.lua steps=2 --quiet"):format(trust))
        if code ~= 0 then has(errors, "option 'name' is letters") end
        assert.equal(name:find "^n" and 0 or 1, code)
      end
    end
  end)

  it("of a view", function()
    for _, name in ipairs(hostile) do
      write(top .. "/desk/view.lua", name)
      local code, _, errors = try "$SMRUN tiny.lua steps=2 --quiet --again"
      if code ~= 0 then has(errors, "the name of a view is") end
      if name:find "^[./]" or name:find "/" then assert.equal(1, code) end
    end
  end)

  it("that a parameter's value makes", function()
    for _, value in ipairs(hostile) do
      assert.equal(0, (try(("$SMRUN tiny.lua steps=2 %s --quiet --again"):format(
        helpers.quote("note=" .. value:gsub("[,.\\]", "\\%0"))))))
    end
    assert.equal(0, (try "$SMRUN tiny.lua steps=2 'note=../../x,..,.' --quiet"))
    write(top .. "/desk/note.lua", "../../etc")
    assert.equal(0, (try "$SMRUN tiny.lua steps=2 --quiet"))
  end)

  it("of a file", function()
    for _, name in ipairs { "..lua", "...lua", ".lua", ".hidden.lua", "a\nb.lua", "-x.lua", "%.lua",
      ("f"):rep(250) .. ".lua" } do
      write(top .. "/desk/" .. name, tiny.text)
      assert.equal(0, (try(("$SMRUN %s steps=2 --quiet"):format(helpers.quote("./" .. name)))))
    end
  end)

  it("unless --runs says so itself", function()
    for _, runs in ipairs { "-x", "a\nb", "a,b", "--again", "a=1" } do
      for _, steps in ipairs { "2", "2,3" } do
        local code, _, errors = try(("$SMRUN tiny.lua steps=%s --quiet --runs=%s"):format(steps,
          helpers.quote(runs)), runs)
        assert.equal(0, code, errors)
      end
      sh("rm -rf -- '%s/desk/%s'", top, runs)
    end
    for _, runs in ipairs { "tiny.lua", "/dev/null", "/dev/full", ("r"):rep(300) } do
      local code, _, errors = try(("$SMRUN tiny.lua steps=2 --quiet --runs=%s"):format(helpers.quote(runs)))
      assert.equal(1, code)
      has(errors, "cannot make the directory")
    end
  end)

  it("that a record of a run has", function()
    assert.equal(0, (try "$SMRUN tiny.lua steps=2 --quiet"))
    local path = top .. "/desk/runs/tiny/steps=2/environment.json"
    for _, name in ipairs { "../../x", "/etc/x", ".." } do
      write(path, (read(path):gsub('"experiment": "[^"]*"', ('"experiment": "%s"'):format(name))
        :gsub('"variant": "[^"]*"', ('"variant": "%s"'):format(name))))
      os.remove(top .. "/desk/runs/tiny/steps=2/summary.json")
      assert.equal(0, (try "$SMRUN resume runs/tiny/steps=2"))
      for _, command in ipairs { "eval", "report", "compare" } do
        assert.equal(0, (try(("$SMRUN %s runs/tiny/steps=2"):format(command))))
      end
    end
  end)
end)

describe("a current directory that has been removed", function()
  local top
  before_each(function()
    top = workspace()
    write(top .. "/tiny.lua", dofile("tests/lua/tiny_experiment.lua").text)
  end)
  after_each(function() sh("rm -rf '%s'", top) end)

  --- What the program says there.
  local function try(command)
    local code, output, errors = helpers.shell(top, "mkdir gone && cd gone && rmdir ../gone && " .. command)
    assert.is_nil(errors:find("attempt to", 1, true), errors)
    return code, output .. errors
  end

  it("is named where a path counts from it, and is nothing to other commands", function()
    local code, said = try "$SMRUN ../tiny.lua steps=2 --runs ../runs"
    assert.equal(1, code)
    has(said, "the current directory has been removed; expected a path that begins with /, got ../tiny.lua")
    code, said = try "SM_DATA=some HOME=/nowhere $SMRUN -e 'return require [[sm]].data.mnist {}'"
    assert.equal(1, code)
    has(said, "data.mnist: its files are in none of ./some/mnist, ./some, ")
    code, said = try(("$SMRUN %s/tiny.lua steps=2 --quiet --runs %s/runs"):format(top, top))
    assert.equal(0, code, said)
    code, said = try("$SMRUN resume " .. top .. "/runs/tiny/steps=2")
    assert.equal(0, code, said)
  end)
end)
