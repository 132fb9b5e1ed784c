local lfs = require "lfs"
local host = require "sm.cli.host"
local sm = require "sm"
local tiny = dofile "tests/lua/tiny_experiment.lua"

-- Everything after the header of a .safetensors file: the bits of all weights and of the optimizer's memory.
local function weights(directory)
  local text = tiny.read(directory .. "/checkpoints/step-000012.safetensors")
  return text:sub(9 + ("<I8"):unpack(text))
end

-- The random numbers' and the data's position, out of the metadata.
local function positions(directory)
  local _, metadata = require "sm.files".load(directory .. "/checkpoints/step-000012.safetensors")
  local kept = {}
  for line in metadata.numbers:gmatch "[^\n]+" do
    if line:find "^random" or line:find "^stream" or line:find "^validation" then kept[#kept + 1] = line end
  end
  return table.concat(kept, "\n")
end

describe("a run that was stopped", function()
  local workspace, base, reference
  local interrupted = host.interrupted
  setup(function()
    workspace = tiny.workspace()
    base = workspace .. "/runs/tiny/default"
    local _, result = tiny.run(workspace, nil, { runs = workspace .. "/reference" })
    reference = result.directory
  end)
  teardown(function() tiny.remove(workspace) end)
  after_each(function()
    host.interrupted = interrupted
    tiny.remove(workspace .. "/runs")
  end)

  local function assert_equal_to_reference(directory)
    assert.equal(weights(reference), weights(directory))
    assert.equal(tiny.metrics(reference), tiny.metrics(directory))
    assert.equal(positions(reference), positions(directory))
    for _, name in ipairs(tiny.list(directory .. "/checkpoints")) do
      assert.is_nil(name:find("tmp", 1, true))
    end
  end

  local function interrupt_after(polls)
    host.interrupted = function()
      polls = polls - 1
      return polls < 0
    end
  end

  it("finishes the step, saves, says how to go on; and goes on with the same bits", function()
    for _, step in ipairs { 0, 1, 5, 8, 11 } do
      interrupt_after(step)
      local printed, result = tiny.run(workspace)
      host.interrupted = interrupted
      assert.is_true(result.interrupted)
      assert.truthy(printed:find(("interrupted after step %d of 12"):format(step), 1, true), printed)
      assert.truthy(printed:find(("smrun resume '%s'"):format(base), 1, true), printed)
      assert.is_nil(lfs.attributes(base .. "/summary.json"))
      printed, result = tiny.call("resume", base)
      assert.truthy(printed:find(("goes on after step %d of 12"):format(step), 1, true), printed)
      assert.equal("finished", result.summary.status)
      assert_equal_to_reference(base)
      tiny.remove(workspace .. "/runs")
    end
  end)

  it("goes on when the same thing is run again, even twice interrupted", function()
    for _, polls in ipairs { 2, 5 } do
      interrupt_after(polls)
      tiny.run(workspace)
    end
    host.interrupted = interrupted
    local printed, result = tiny.run(workspace)
    assert.truthy(printed:find("goes on after step 7 of 12", 1, true), printed)
    assert.equal(base, result.directory)
    assert_equal_to_reference(base)
  end)

  --- The output and the exit code of a run that is killed at a place.
  local function killed(place, whom, file)
    return tiny.stopped { workspace = workspace, at = place, arguments = file or "tiny.lua", whom = whom }
  end

  it("goes on after SIGKILL at any moment, of the program or of the process that it runs the text in", function()
    local file = workspace .. "/tiny.lua"
    for i, stop in ipairs { "picture 1", "loss 2", "loss 6", "picture 2", "loss 12", "picture 4" } do
      local whom, expected = "program", 137
      if i % 2 == 0 then whom, expected = "child", 1 end
      local output, code = killed(stop, whom)
      assert.equal(expected, code, output)
      if whom == "child" then assert.matches("smrun: the experiment's process was ended by signal 9\n", output) end
      local again
      output, again = tiny.smrun(("'%s' --runs '%s/runs'"):format(file, workspace))
      assert.equal(0, again, output)
      assert_equal_to_reference(base)
      tiny.remove(workspace .. "/runs")
    end
  end)

  it("begins anew, with the same bits, where it was killed before the first checkpoint", function()
    for _, how in ipairs { "resume '%s'", "'%s/../../../tiny.lua' --runs '" .. workspace .. "/runs'" } do
      assert.equal(137, select(2, killed "loss 6"))
      assert.same({}, tiny.list(base .. "/checkpoints"))
      assert.truthy(tiny.read(base .. "/metrics.csv"):find "\n4,")
      local output, again = tiny.smrun(how:format(base))
      assert.equal(0, again, output)
      assert.truthy(output:find(base .. " was stopped before its first checkpoint, and begins anew", 1, true), output)
      assert_equal_to_reference(base)
      tiny.remove(workspace .. "/runs")
    end
  end)

  it("goes on, and is evaluated, with views of the library's, which know the line where they were declared", function()
    local file, run = workspace .. "/views.lua", workspace .. "/runs/views/default"
    tiny.write(file, tiny.text:gsub("sm.randn%(60, 4%)", "sm.randn(60, 4, 4, 1)")
      :gsub("nn.linear { 9 }", "nn.conv2d { 9, kernel = 3 }"):gsub("nn.linear { 3 }", "nn.flatten(), %0")
      :gsub("views = { picture }", 'views = { sm.view.filters "conv1", sm.view.groups "conv1" }'))
    assert.equal(137, select(2, killed("loss 12", "program", "views.lua")))
    for _, case in ipairs { { "eval", "after step 5" }, { "resume", "goes on after step 5 of 12" } } do
      local command, words = table.unpack(case)
      local output, again = tiny.smrun(("%s '%s'"):format(command, run))
      assert.equal(0, again, output)
      assert.truthy(output:find(words, 1, true), output)
      assert.is_nil(output:find "was run with", output)
    end
  end)

  it("exits 130 after a signal, and resumes from the command line", function()
    local output, code = tiny.stopped { workspace = workspace, at = "loss 7", arguments = "tiny.lua", signal = "TERM" }
    assert.equal(130, code, output)
    assert.truthy(output:find("interrupted after step %d+ of 12"), output)
    output, code = tiny.smrun(("resume '%s'"):format(base))
    assert.equal(0, code, output)
    assert_equal_to_reference(base)
  end)

  it("passes over what a killed process left, and a checkpoint that cannot be read", function()
    interrupt_after(7)
    tiny.run(workspace)
    host.interrupted = interrupted
    tiny.write(base .. "/checkpoints/.step-000009.safetensors.tmp-123", "half")
    tiny.write(base .. "/checkpoints/step-000011.safetensors", "not a checkpoint")
    local csv = tiny.read(base .. "/metrics.csv")
    tiny.write(base .. "/metrics.csv", csv .. "9,1,0.5,0.5,,,0.01,1\n11,1,0.")
    local printed = tiny.call("resume", base)
    assert.truthy(printed:find("passed over a checkpoint that cannot be read: ", 1, true), printed)
    assert.truthy(printed:find("step-000011.safetensors", 1, true), printed)
    assert.truthy(printed:find("goes on after step 7 of 12", 1, true), printed)
    assert_equal_to_reference(base)
  end)

  it("keeps the last two checkpoints, and goes on from either with the same bits", function()
    local text = tiny.text:gsub("checkpoint = p.checkpoint,", "%0 keep = 1,")
    tiny.write(workspace .. "/tiny.lua", text)
    for _, at in ipairs { 0.1, 0.5, 0.99 } do
      assert.equal(137, select(2, killed "loss 12"))
      interrupt_after(1) -- after step 6
      tiny.call("resume", base)
      host.interrupted = interrupted
      assert.same({ "step-000005.safetensors", "step-000006.safetensors" }, tiny.list(base .. "/checkpoints"))
      local newest = base .. "/checkpoints/step-000006.safetensors"
      local bytes = tiny.read(newest)
      local place = math.ceil(at * #bytes)
      tiny.write(newest, bytes:sub(1, place - 1) .. string.char(bytes:byte(place) ~ 16) .. bytes:sub(place + 1))
      local printed = tiny.call("resume", base)
      assert.truthy(printed:find("goes on after step 5 of 12", 1, true), printed)
      assert.same({ "step-000010.safetensors", "step-000012.safetensors" }, tiny.list(base .. "/checkpoints"))
      assert_equal_to_reference(base)
      tiny.remove(workspace .. "/runs")
    end
    tiny.write(workspace .. "/tiny.lua", tiny.text)
  end)

  it("refuses a checkpoint of another text, and a directory without a readable one", function()
    interrupt_after(7)
    tiny.run(workspace)
    host.interrupted = interrupted
    tiny.write(base .. "/experiment.lua", tiny.text .. "\n")
    local ok, message = pcall(tiny.call, "resume", base)
    assert.is_false(ok)
    assert.truthy(message:find("was saved by a different text of the experiment", 1, true), message)
    tiny.write(base .. "/experiment.lua", tiny.text)
    for _, name in ipairs(tiny.list(base .. "/checkpoints")) do
      tiny.write(base .. "/checkpoints/" .. name, "spoilt")
    end
    ok, message = pcall(tiny.call, "resume", base)
    assert.is_false(ok)
    assert.truthy(message:find("checkpoints: not one can be read, out of 2", 1, true), message)
  end)

  it("tells a checkpoint of a model of other shapes by the tensor, and changes nothing", function()
    interrupt_after(7)
    tiny.run(workspace)
    host.interrupted = interrupted
    local name = "linear1.weight"
    local path = base .. "/checkpoints/step-000007.safetensors"
    local tensors, metadata = sm.load(path)
    local shape = tensors["model." .. name].shape
    tensors["model." .. name] = sm.zeros(shape[1], shape[2] + 1)
    sm.save(path, tensors, metadata)
    local ok, message = pcall(tiny.call, "evaluate", base)
    assert.is_false(ok)
    local expected = ("%s: 'model.%s' is a tensor {%d, %d}, and the model's is a tensor {%d, %d}"):format(path, name,
      shape[1], shape[2] + 1, shape[1], shape[2])
    assert.truthy(message:find(expected, 1, true), message)
  end)

  it("can be evaluated without a trace", function()
    interrupt_after(7)
    tiny.run(workspace)
    host.interrupted = interrupted
    local log = tiny.read(base .. "/log.txt")
    local printed, result = tiny.call("evaluate", base)
    assert.equal(7, result.step)
    assert.truthy(printed:find "validation +loss")
    assert.truthy(printed:find "test +loss")
    assert.is_number(result.test.accuracy)
    assert.equal(log, tiny.read(base .. "/log.txt"))
    assert.is_nil(lfs.attributes(base .. "/summary.json"))
  end)
end)
