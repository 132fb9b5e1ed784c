-- A checkpoint that is damaged is not taken for what was written, and equal runs have equal checkpoints.
local cjson = require "cjson"
local lfs = require "lfs"
local sm = require "sm"
local files = require "sm.files"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local workspace, base
before_each(function()
  workspace = tiny.workspace()
  base = workspace .. "/runs/tiny/default"
end)
after_each(function() tiny.remove(workspace) end)

local function flipped(content, position, bit)
  return content:sub(1, position - 1) .. string.char(content:byte(position) ~ 1 << bit) .. content:sub(position + 1)
end

local function header_of(content)
  return (content:sub(9, 8 + string.unpack("<I8", content)))
end

describe("a file with checksums", function()
  local path, tensors, metadata, content
  before_each(function()
    path = workspace .. "/x.safetensors"
    tensors = { b = sm.tensor { 1, 2, 3 }, a = sm.tensor({ { 7, 8 } }, "uint8"), none = sm.zeros(0, 3) }
    metadata = { numbers = "step=0x1p+0", other = "é \"x\"" }
    files.save_checked(path, tensors, metadata)
    content = tiny.read(path)
  end)

  it("is read as any other, and its metadata are those that were given", function()
    local loaded, kept = sm.load(path)
    assert.same(metadata, kept)
    assert.same({ 1, 2, 3 }, loaded.b:totable())
    local header = cjson.decode(header_of(content))
    assert.equal(0, (8 + #header_of(content)) % 8)
    for key, value in pairs(header.__metadata__) do
      assert.is_string(key)
      assert.is_string(value)
    end
    assert.same({ dtype = "U8", shape = { 1, 2 }, data_offsets = { 0, 2 } }, header.a)
    sm.save(path, loaded, kept) -- as files were before there were checksums
    assert.same(metadata, select(2, sm.load(path)))
  end)

  it("refuses every flipped bit, or loses nothing by it", function()
    local same = { b = { 1, 2, 3 }, a = { { 7, 8 } }, none = {} }
    local taken = 0
    for position = 1, #content do
      for bit = 0, 7 do
        tiny.write(path, flipped(content, position, bit))
        local ok, loaded, kept = pcall(sm.load, path)
        if ok then
          taken = taken + 1
          for name, values in pairs(same) do assert.same(values, loaded[name]:totable()) end
          for key, value in pairs(metadata) do assert.equal(value, kept[key]) end
        end
      end
    end
    assert.is_true(taken <= 8 * #"smrun.crc32", taken) -- the word that says where the checksums are
  end)

  it("says what is damaged", function()
    local data = 8 + #header_of(content)
    local function message()
      local ok, text = pcall(sm.load, path)
      assert.is_false(ok)
      return text
    end
    tiny.write(path, flipped(content, data + 1, 0))
    assert.matches("x%.safetensors: tensor 'a' is not what was written: its checksum differs", message())
    tiny.write(path, flipped(content, data + 6, 7))
    assert.matches("x%.safetensors: tensor 'b' is not what was written", message())
    tiny.write(path, (content:gsub("0x1p", "0x2p")))
    assert.matches("x%.safetensors: the header is not what was written", message())
    assert.matches("it should drop 'smrun%.crc32' from the metadata", message())
  end)

  it("keeps the word for its checksums to itself", function()
    assert.has_error(function() sm.save(path, tensors, { ["smrun.crc32"] = "1" }) end)
  end)
end)

describe("a damaged checkpoint", function()
  local function damage(step, where)
    local path = ("%s/checkpoints/step-%06d.safetensors"):format(base, step)
    local content = tiny.read(path)
    tiny.write(path, flipped(content, where(content), 2))
  end
  local function in_the_last_tensor(content) return #content - 1 end
  local function in_the_numbers(content) return (content:find("validation.best.loss=0x1.", 1, true)) + 26 end

  it("is passed over for an older one, and named with its tensor", function()
    tiny.run(workspace)
    damage(12, in_the_last_tensor)
    local printed, result = tiny.call("evaluate", base)
    assert.matches("passed over a checkpoint that cannot be read: [^\n]*step%-000012%.safetensors: tensor "
      .. "'optimizer%.linear2%.weight%.mem' is not what was written", printed)
    assert.equal(10, result.step)
    os.remove(base .. "/summary.json")
    printed, result = tiny.call("resume", base)
    assert.matches("goes on after step 10 of 12", printed)
    assert.equal(12, result.summary.steps)
  end)

  it("is an error where it is the only one", function()
    tiny.run(workspace)
    for _, step in ipairs { 10, 12 } do damage(step, in_the_numbers) end
    local ok, message = pcall(tiny.call, "evaluate", base)
    assert.is_false(ok)
    assert.matches("checkpoints: not one can be read, out of 2", message)
  end)
end)

describe("equal runs", function()
  local function checkpoint(runs)
    return tiny.read(workspace .. "/" .. runs .. "/tiny/default/checkpoints/step-000012.safetensors")
  end

  it("have the same checkpoints, byte for byte, with any number of threads and after an interruption", function()
    for threads, runs in pairs { [1] = "one", [3] = "three" } do
      local output, code = tiny.smrun(("'%s/tiny.lua' --runs '%s/%s' --threads %d"):format(workspace, workspace, runs,
        threads))
      assert.equal(0, code, output)
      assert.is_nil(lfs.attributes(workspace .. "/" .. runs .. "/tiny/default/spent.json"))
    end
    assert.equal(checkpoint "one", checkpoint "three")
    local stopped = ("'%s/tiny.lua' --runs '%s/stopped'"):format(workspace, workspace)
    assert.equal(130, select(2, tiny.stopped { workspace = workspace, at = "loss 7", arguments = stopped,
      signal = "TERM" }))
    local spent = cjson.decode(tiny.read(workspace .. "/stopped/tiny/default/spent.json"))
    assert.is_true(spent.wall_seconds > spent.training_seconds and spent.training_seconds > 0)
    assert.equal(0, select(2, tiny.smrun(stopped)))
    assert.equal(checkpoint "one", checkpoint "stopped")
    local summary = cjson.decode(tiny.read(workspace .. "/stopped/tiny/default/summary.json"))
    assert.is_true(summary.wall_seconds > spent.wall_seconds)
    assert.is_true(summary.training_seconds > spent.training_seconds)
  end)

  it("count their time from now on where it is not known", function()
    local stopped = ("'%s/tiny.lua' --runs '%s/runs'"):format(workspace, workspace)
    tiny.stopped { workspace = workspace, at = "loss 7", arguments = stopped, signal = "TERM" }
    os.remove(base .. "/spent.json")
    local _, code = tiny.smrun(stopped)
    assert.equal(0, code)
    local row = tiny.read(base .. "/metrics.csv"):match "\n8,[^\n]*"
    assert.matches("^\n8,%d+,[%d.e-]+,[%d.]+,[%d.e-]+,[%d.]+,[%d.]+,,", row) -- no figure rather than a wrong one
  end)
end)
