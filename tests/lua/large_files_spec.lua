--- Files that are large, or say or turn out to be: what is honest is read, and the rest is refused in little memory.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local has = helpers.has

local most_megabytes <const> = 700 -- of a process, sanitizers not counted; what a trap asks for is some gigabytes

-- Says what came of reading a file, and the most memory that the process has had.
local SCRIPT <const> = [[
local sm = require "sm"
local path, other = os.getenv "FILE", os.getenv "OTHER"
local ok, result = pcall(function()
  if path:find "%.run$" then return require "sm.study.records".read(path) end
  if not path:find "idx" then return sm.load(path) end
  return sm.data.idx { images = path, labels = other or path }
end)
print(ok, ok and tostring(result) or result)
for line in io.lines "/proc/self/status" do
  if line:find "^VmHWM" then print(line) end
end
]]

local function idx(sizes)
  local header = ("BBBB"):pack(0, 0, 8, #sizes)
  for _, size in ipairs(sizes) do header = header .. (">I4"):pack(size) end
  return header
end

describe("a large file", function()
  local workspace, sanitized
  setup(function()
    workspace = tiny.workspace()
    helpers.write(workspace .. "/read.lua", SCRIPT)
    local _, said = helpers.shell(workspace, "ldd $SMRUN")
    sanitized = said:find "libasan" or said:find "libclang_rt"
  end)
  teardown(function() tiny.remove(workspace) end)
  after_each(function()
    for name in lfs.dir(workspace) do
      if name:find "^large" then tiny.remove(workspace .. "/" .. name) end
    end
  end)

  local function path(name)
    return ("%s/large.%s"):format(workspace, name)
  end

  --- Writes a file that begins with some bytes and ends in zeros that take no room on the disk.
  local function write_sparse(name, front, bytes)
    helpers.write(path(name), front)
    assert(os.execute(("truncate -s %d '%s'"):format(bytes, path(name))))
  end

  local function gzipped(command)
    local pipe <close> = assert(io.popen(("LC_ALL=C; %s | gzip -nc"):format(command)))
    return pipe:read "a"
  end

  local function packed(bytes)
    helpers.write(path "plain", bytes)
    return gzipped(("cat '%s'"):format(path "plain"))
  end

  --- What is said of reading a file; it may take so much memory.
  local function read(name, other, megabytes)
    local status, out, err = helpers.shell(workspace, ("FILE='%s' %s timeout 300 $SMRUN --trust read.lua"):format(
      path(name), other and ("OTHER='%s'"):format(path(other)) or ""))
    assert.equal(0, status, err)
    local used = tonumber(out:match "VmHWM:%s*(%d+) kB") / 1000
    if not sanitized then
      assert.is_true(used < (megabytes or most_megabytes), ("%s took %.0f MB"):format(name, used))
    end
    return out
  end

  local function refuses(reason, ...)
    local out = read(...)
    assert.equal("false", out:match "^%a+", out)
    has(out, path(...) .. ": ")
    has(out, reason)
    assert.is_true(#out < 2000, "a long message")
  end

  it("that grows to gigabytes is refused before it does", function()
    local zeros = gzipped "head -c 16777216 /dev/zero"
    local images <const>, labels <const> = idx { 4096, 1 << 20 }, idx { 0xf0000000 }
    helpers.write(path "idx.gz", packed(images) .. zeros:rep(256))
    refuses("byte 4: the sizes {4096, 1048576} ask for 4294967296 bytes of", "idx.gz")
    helpers.write(path "labels.gz", packed(labels) .. zeros:rep(240))
    write_sparse("idx", idx { 10, 2 }, 12 + 20)
    local out = read("idx", "labels.gz")
    has(out, path "labels.gz" .. ": byte 4: the sizes {4026531840} ask for 4026531840 bytes")
    has(out, "gunzip the file first")
    helpers.write(path "idx.gz", packed(idx { 10, 2 } .. ("\0"):rep(20)) .. zeros:rep(256))
    refuses("byte 32: more bytes follow the last element", "idx.gz")
    helpers.write(path "idx.gz", packed(""):rep(500000) .. packed "rubbish")
    refuses("byte 0: expected two zero bytes", "idx.gz")
  end)

  it("of images and labels is read", function()
    write_sparse("idx", idx { 60000, 28, 28 }, 16 + 60000 * 784)
    write_sparse("labels", idx { 60000 }, 8 + 60000)
    has(read("idx", "labels"), "true\tidx: 60000 train examples of {28, 28, 1}")
    helpers.write(path "idx.gz", gzipped(("cat '%s'"):format(path "idx")))
    has(read("idx.gz", "labels"), "true\tidx: 60000 train examples of {28, 28, 1}")
  end)

  it("of a hundred million labels is read and checked", function()
    local count <const> = 100000000
    write_sparse("idx", idx { count, 1 }, 12 + count)
    write_sparse("labels", idx { count }, 8 + count)
    has(read("idx", "labels", 1000), "true\tidx: 100000000 train examples of {1}, bytes as 0 to 1, 1 classes")
  end)

  it("with a header of megabytes is refused", function()
    write_sparse("safetensors", ("<I8"):pack(60000000), 60000008)
    refuses("a header of 60000000 bytes, where the file has 60000008 and 16000000 are allowed", "safetensors")
    helpers.write(path "safetensors", ("<s8"):pack("{" .. ('"w":[[],[]],'):rep(1000000) .. '"v":1}'))
    refuses("the header has 'w' twice", "safetensors")
    helpers.write(path "safetensors", ("<s8"):pack('{"w":[' .. ("[],"):rep(4000000) .. "[]]}"))
    refuses("the header has more than 2000000 values", "safetensors")
    helpers.write(path "safetensors", ("<s8"):pack(('{"' .. ("n"):rep(8000000) .. '":1}')))
    refuses("is not an object", "safetensors")
    write_sparse("npy", "\x93NUMPY\2\0" .. ("<I4"):pack(60000000), 60000012)
    refuses("a header of 60000000 bytes, where the file has 60000012 and 16384 are allowed", "npy")
  end)

  it("of a run's metrics is refused where a line has millions of columns", function()
    local run = tiny.write_run(workspace, "large.run", 1, { metrics = "10,1,0.5,0.5,0.4,0.9,0.1,3\n" })
    local metrics = tiny.read(run .. "/metrics.csv")
    for reason, text in pairs {
      ["metrics.csv, line 1: expected a header of at most 1048576 bytes"] =
        metrics:gsub("\n", (",a"):rep(1e7) .. "\n", 1),
      ["metrics.csv, line 3: expected at most 1048576 bytes"] = metrics .. (","):rep(1e7) .. "\n",
      ["metrics.csv, line 3: expected 8 cells, got 1000001"] = metrics .. (","):rep(1e6) .. "\n",
      ["metrics.csv: expected a header"] = ("x"):rep(1e8),
    } do
      helpers.write(run .. "/metrics.csv", text)
      local out = read "run"
      assert.equal("false", out:match "^%a+", out)
      has(out, reason)
      assert.is_true(#out < 2000, "a long message")
    end
  end)

  it("of a hundred thousand tensors is read", function()
    local parts = {}
    for i = 0, 99999 do
      parts[i + 1] = ('"layer.%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'):format(i, i, i + 1)
    end
    helpers.write(path "safetensors", ("<s8"):pack("{" .. table.concat(parts, ",") .. "}") .. ("x"):rep(100000))
    has(read "safetensors", "true\ttable: ")
  end)
end)
