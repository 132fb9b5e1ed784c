local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local limits = require "sm.cli.limits"
local options = require "sm.cli.options"

local GIB <const>, DAY <const> = 1 << 30, 24 * 60 * 60

local workspace

--- What the command line gives to a file that is there.
local function given(...)
  local command, found = options.read { workspace .. "/x.lua", ... }
  assert.equal("file", command)
  return found
end

local function refused(part, ...)
  helpers.has(helpers.error_of(options.read, { ... }), part)
end

describe("the limits of an experiment", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    helpers.write(workspace .. "/x.lua", "")
    assert(lfs.mkdir(workspace .. "/data"))
  end)

  teardown(function() os.execute("rm -rf -- " .. helpers.quote(workspace)) end)

  it("are read as sizes", function()
    for text, bytes in pairs {
      ["500M"] = 500 << 20, ["2G"] = 2 * GIB, ["1.5G"] = 3 * GIB // 2, ["2097152"] = 2097152, ["2048K"] = 2 << 20,
      ["1T"] = 1024 * GIB, ["2g"] = 2 * GIB, ["2GB"] = 2 * GIB, ["2GiB"] = 2 * GIB, [".5G"] = GIB // 2,
      ["1024T"] = 1 << 50,
    } do
      local found = given("--max-memory", text)
      assert.equal(bytes, found.max_memory, text)
      assert.equal("integer", math.type(found.max_memory))
      assert.equal(bytes, given("--max-disk=" .. text).max_disk)
    end
  end)

  it("are read as times", function()
    for text, seconds in pairs {
      ["90"] = 90, ["1.5"] = 1.5, ["90s"] = 90, ["15m"] = 900, ["2h"] = 7200, ["1.5d"] = 129600,
    } do
      assert.equal(seconds, given("--max-time", text).max_time, text)
      assert.equal(seconds, given("--max-cpu", text).max_cpu, text)
    end
    assert.equal(7, given("--max-files", "7").max_files)
  end)

  it("are refused where they are none", function()
    for _, word in ipairs { "", "x", "G", ".", "1.2.3", "1e9", "0x10", "nan", "inf", "5Q", "5 G G", "1,5G", "5%s" } do
      refused("must be a size such as", workspace .. "/x.lua", "--max-memory=" .. word)
      refused("must be seconds or a time", workspace .. "/x.lua", "--max-time=" .. word)
    end
    for _, word in ipairs { "0", "-1", "-5G", "1025T", ("9"):rep(400) } do
      refused("'--max-memory' must be from 1 MB to 1024 TB", workspace .. "/x.lua", "--max-memory=" .. word)
      refused("'--max-disk' must be from 1 KB to 1024 TB", workspace .. "/x.lua", "--max-disk=" .. word)
    end
    for _, word in ipairs { "0", "-1", "-2h", "36501d", ("9"):rep(400) } do
      refused("'--max-time' must be from", workspace .. "/x.lua", "--max-time=" .. word)
      refused("'--max-cpu' must be from", workspace .. "/x.lua", "--max-cpu=" .. word)
    end
    for _, word in ipairs { "0", "-1", "1.5", "x", "", ("9"):rep(40) } do
      refused("'--max-files' must be", workspace .. "/x.lua", "--max-files=" .. word)
    end
    refused("got '16'; did you mean 16G?", workspace .. "/x.lua", "--max-memory=16")
  end)

  it("go with what runs a file's text, and with nothing else", function()
    for _, word in ipairs {
      "--max-memory=1G", "--max-time=5", "--max-cpu=5", "--max-disk=1G", "--max-files=5", "--trust", "--read=/tmp",
      "--write=/tmp",
    } do
      local name = word:match "^[^=]*"
      if word ~= "--trust" then -- which lets the code load runs
        refused(("'%s' does not go with -e: the code is your own, and not confined"):format(name), "-e", "1", word)
      end
      refused(("'%s' does not go with --version"):format(name), "--version", word)
      for _, command in ipairs { "compare", "report", "data" } do
        refused(("'%s' does not go with '%s'"):format(name, command), command, "x", word)
      end
      for _, command in ipairs { "resume", "eval" } do
        assert.equal(command, (options.read { command, workspace, word }))
      end
      if word ~= "--trust" then
        refused(("'%s' does not go with --trust"):format(name), workspace .. "/x.lua", "--trust", word)
      end
    end
  end)

  it("grant directories that are there, or are made", function()
    local data <const>, new <const> = workspace .. "/data", workspace .. "/new"
    local found = given("--read", data, "--read=" .. workspace, "--write", new .. "/")
    assert.same({ data, workspace }, found.read)
    assert.same({ new .. "/" }, found.write)
    assert.equal("directory", lfs.attributes(new, "mode"))
    assert.same({ new }, given("--write", new).write)
    assert.same({ {}, {} }, { given().read, given().write })
    local file <const> = workspace .. "/x.lua"
    refused(("no such directory '%s/dato' (--read); did you mean"):format(workspace), file, "--read",
      workspace .. "/dato")
    refused("no such directory", file, "--write", workspace .. "/no/such")
    refused("is not a directory (--read)", file, "--read", file)
    refused("is not a directory (--write)", file, "--write", file)
    refused("must be a directory, got ''", file, "--read=")
    assert.is_nil(lfs.attributes(workspace .. "/no"))
    assert.is_true(given("--trust").trust)
  end)

  it("hold by default, and say so", function()
    local all = limits.of(given("--threads", "3"))
    assert.is_true(all.memory >= 1 << 20 and all.memory < 1 << 50)
    assert.equal("integer", math.type(all.memory))
    assert.same({ memory = all.memory, time = 30 * DAY, cpu = 90 * DAY, disk = 100 * GIB, files = 100000 }, all)
    assert.equal("at most 300 MB of memory, 30 days, 100 GB and 100,000 files",
      limits.words(limits.of(given("--max-memory", "300M"))))
    assert.equal("at most 17.6 GB of memory, 1.5 hours, 2 minutes of processor time, 512 KB and 1 file",
      limits.words(limits.of(given("--max-memory=17.6G", "--max-time=90m", "--max-cpu=2m", "--max-disk=512K",
        "--max-files=1"))))
    assert.equal("not enough memory; the limit is 300 MB (--max-memory)", limits.memory_words(300 << 20))
    assert.equal("not enough memory; the limit is 1 GB (--max-memory)", limits.memory_words(GIB - 1))
  end)

  it("are handed on to the runs of a sweep, which share the memory", function()
    local words <const> = { "--max-memory=314572800", "--max-time=0.1", "--max-cpu=100", "--max-disk=1024",
      "--max-files=10", "--read=" .. workspace, "--read=/tmp", "--write=/tmp" }
    local before = given(table.unpack(words))
    local after = given(table.unpack(limits.words_of(before)))
    assert.same(before, after)
    assert.same({}, limits.words_of(given()))
    assert.same({ "--trust" }, limits.words_of(given "--trust"))
    local one, four = given("--jobs", "1"), given("--jobs", "4")
    assert.equal(limits.of(one).memory // 4, limits.of(four).memory)
    assert.same({ ("--max-memory=%d"):format(limits.of(four).memory) }, limits.words_of(four))
    assert.same({ "--max-memory=1073741824" }, limits.words_of(given("--jobs", "4", "--max-memory", "1G")))
  end)
end)
