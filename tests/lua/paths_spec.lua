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
      sh([[perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un($ARGV[0])) or exit 1' '%s']], path)
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
