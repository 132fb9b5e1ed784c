-- What a run trains and what its checkpoints hold are one and the same, and a loss compares one with one.
local lfs = require "lfs"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local text = [[
local sm = require "sm"
local nn, optim = sm.nn, sm.optim
sm.seed(3)
local x, y = sm.randn(60, 4), sm.randn(60, 1)
local w, other = sm.randn(4, 4):requires_grad(), nn.linear { 4 }
other:build { 4 }
local model = nn.sequential { nn.linear { 3 }, nn.linear { 1, name = "last" } }
local opt, several = optim.sgd { lr = 0.01 }, nil
local loss = function(output, target) return ((output - target) ^ 2):mean() end
-- here
return sm.experiment {
  data = sm.data.tensors { inputs = x, targets = y },
  model = model, loss = loss, optimizer = opt, schedule = { steps = 12, batch = 10, log = 4, accumulate = several },
}
]]

local workspace
before_each(function() workspace = tiny.workspace() end)
after_each(function() tiny.remove(workspace) end)

local function run(here, options)
  local changed, found = text:gsub("%-%- here", (here:gsub("%%", "%%%%")))
  assert.equal(1, found)
  tiny.write(workspace .. "/tiny.lua", changed)
  local printed, result = tiny.run(workspace, {}, options)
  return printed, result
end

local function refusal(here, options)
  local ok, message = pcall(run, here, options)
  assert.is_false(ok)
  return message
end

local function count(printed, part)
  return select(2, printed:gsub(part:gsub("%p", "%%%0"), ""))
end

describe("what trains and would be in no checkpoint", function()
  it("is refused before the first step, in a dry run too, with the line that added it", function()
    for _, dry in ipairs { false, true } do
      local message = refusal("opt:add(model:parameters()):add { w = w }", { dry_run = dry })
      assert.matches("^[^\n]*tiny%.lua:10: the optimizer trains 'w', a tensor {4, 4} that is no parameter of the "
        .. "experiment's model, so that no checkpoint has it", message)
      assert.is_nil(lfs.attributes(workspace .. "/runs/tiny/default/params.json"))
    end
    assert.matches("tiny%.lua:10: the optimizer trains 'parameter1'", refusal "opt:add(model:parameters()):add(w)")
    assert.matches("tiny%.lua:10: the optimizer trains 'weight', a tensor {4, 4}",
      refusal "opt:add(other:parameters())")
    assert.matches("tiny%.lua:10: the optimizer trains 'late', a tensor {4, 4}",
      refusal "opt:add { late = w }:add(model:parameters())")
  end)

  it("is no part of the model: groups of its parameters, whole or by layer, are fine", function()
    for _, here in ipairs {
      "opt:add(model:parameters(), { lr = 0.1 })",
      "opt:add(model:layer 'last':parameters(), { lr = 0.1 }):add(model:layer 'linear1':parameters())",
      "model:build { 4 } opt:add { w = model:layer 'last'.weight, v = model:layer 'linear1'.weight } "
        .. "opt:add { model_bias = model:layer 'last'.bias, b = model:layer 'linear1'.bias }",
    } do
      local printed = run(here, { again = true })
      assert.equal(0, count(printed, "frozen"))
      assert.equal(0, count(printed, "warning"))
    end
  end)

  it("stays visible where such a run is evaluated", function()
    local _, result = run("opt:add(model:parameters())")
    local file = result.directory .. "/experiment.lua"
    local changed = tiny.read(file):gsub("opt:add%b()", "%0:add { w = w }")
    tiny.write(file, changed)
    for _, step in ipairs(require "sm.experiment.checkpoint_files".steps(result.directory)) do
      local path = require "sm.experiment.checkpoint_files".path(result.directory, step)
      local sm = require "sm"
      local tensors, metadata = sm.load(path)
      metadata.source = changed
      sm.save(path, tensors, metadata)
    end
    assert.matches("experiment.lua:10: the optimizer trains 'w'.*here it has the value that the file gives",
      (tiny.call("evaluate", result.directory)))
  end)
end)

describe("parameters that nothing moves", function()
  it("are named in the plan", function()
    local printed = run("opt:add(model:layer 'last':parameters())")
    assert.matches("\nfrozen     linear1.weight, linear1.bias: nothing moves them\n", printed)
    assert.equal(0, count(printed, "warning"))
    printed = run("model:build { 4 } model:layer 'last'.bias:requires_grad(false)", { again = true })
    assert.matches("\nfrozen     last.bias: nothing moves them\n", printed)
  end)

  it("must not be all there are", function()
    assert.matches("tiny%.lua:12: experiment: the optimizer moves no parameter of the model", refusal [[
      model:build { 4 }
      for _, parameter in pairs(model:parameters()) do parameter:requires_grad(false) end]])
  end)
end)

describe("parameters that no gradient reaches", function()
  it("are warned of once", function()
    local printed = run [[model = nn.sequential { model, nn.fn(function(x) return x:detach() end), nn.linear { 1 } }]]
    assert.equal(1, count(printed, "warning"))
    assert.matches("\nwarning: in 10 steps no gradient has reached sequential1.linear1.weight, "
      .. "sequential1.linear1.bias, sequential1.last.weight, sequential1.last.bias; such parameters stay", printed)
    printed = run [[several = 4
      model = nn.sequential { model, nn.fn(function(x) return x:detach() end), nn.linear { 1 } }
      local scale, plain = sm.ones(1):requires_grad(), loss
      loss = function(o, t, i, at) scale:copy_(scale * 0 + at.step) return plain(o * scale, t) end]]
    assert.equal(1, count(printed, "no gradient has reached"))
    assert.equal(1, count(printed, "gets a gradient at every step, and the file changes it"))
    assert.equal(2, count(printed, "warning"))
    printed = run([[local plain, calls = loss, 0
      local head = nn.linear { 1, name = "head" }
      model = nn.sequential { nn.linear { 1, name = "body" }, head }
      loss = function(o, t, i)
        calls = calls + 1
        return plain(calls == 4 and o or model:layer "body"(i), t) -- reached now and then is reached
      end]], { again = true })
    assert.equal(0, count(printed, "warning"))
  end)
end)

describe("a parameter or a buffer in whose place a layer puts another tensor", function()
  local counting <const> = [[
    local calls = 0
    local counting = nn.layer {
      kind = "counting",
      build_values = function(self) self:make_buffer("n", sm.zeros(1)) end,
      forward = function(self, x)
        calls = calls + 1
        if calls > %d then self.n = self.n + 1 else self.n:copy_(self.n + 1) end
        return x
      end,
    }
    model = nn.sequential { counting {}, nn.linear { 1 } }]]

  it("is refused at once, or when it would be saved", function()
    for calls, step in pairs { [3] = 3, [11] = 12 } do -- one call builds the model
      assert.matches(("step %d: 'counting1%%.n' is another tensor than the one that the layer was built with, and no "
        .. "checkpoint has it; change the numbers of that one: self%%.n:copy_"):format(step),
        refusal(counting:format(calls)))
    end
    local _, result = run(counting:format(99))
    assert.equal("finished", result.summary.status)
  end)
end)

describe("an optimizer that a step of one's own does not use", function()
  it("is warned of once", function()
    for _, several in ipairs { false, true } do
      local printed = run(([[local train = function(at, batch)
          local loss = loss(at.model(batch.input), batch.target)
          loss:backward()
          if SEVERAL then at.optimizer.linear1:step() end
          return loss
        end
        if SEVERAL then opt = { linear1 = opt, last = optim.adam {} } end
        local declare = sm.experiment
        sm = setmetatable({ experiment = function(given)
          given.train = train
          return declare(given)
        end }, { __index = sm })]]):gsub("SEVERAL", tostring(several)), { again = true })
      assert.equal(1, count(printed, "warning"), printed)
      assert.matches("\nwarning: in 10 steps `train` has not called at.optimizer" .. (several and "%.last" or "")
        .. ":step%(%), so that it moved nothing\n", printed)
    end
  end)
end)

describe("a tensor that gets a gradient step after step and is no parameter", function()
  local function warned(here)
    local printed, result = run(here, { again = true })
    assert.equal(1, count(printed, "warning"), printed)
    assert.equal(1, count(tiny.read(result.directory .. "/log.txt"), "warning"))
    return printed:match "[^\n]*warning[^\n]*"
  end

  it("is warned of once, with the name that the file has for it", function()
    assert.matches("warning: 'w', a tensor {4, 4} in layer 'fn1' %([^\n]*tiny%.lua:10%), gets a gradient at every "
      .. "step, and nothing moves it",
      warned "model = nn.sequential { nn.fn(function(x) return x:matmul(w) end), model }")
    assert.matches("'w', a tensor {4, 4} in the loss function",
      warned "local plain = loss loss = function(o, t) return plain(o, t) + (w * w):mean() end")
    assert.matches("'penalty.strength', a tensor {} in the loss function", warned [[
      local penalty = { strength = sm.tensor(1):requires_grad() }
      local plain = loss loss = function(o, t) return plain(o, t) * penalty.strength end]])
    assert.matches("'factor', a tensor {1} in the loss function", warned [[
      local factor = sm.ones(1):requires_grad()
      local function scaled(loss) return loss * factor:sum() end
      local plain = loss loss = function(o, t) return scaled(plain(o, t)) end]])
  end)

  it("may be a teacher's, whose name is the model's and the parameter's", function()
    local printed = run [[local plain = loss
      loss = function(o, t, i) return plain(o, t) + (other(i):mean() - o:mean()) ^ 2 end]]
    assert.matches("'other:weight', a tensor {4, 4} in the loss function %b(), like 1 more, gets a gradient", printed)
    assert.equal(1, count(printed, "warning"))
    assert.equal(0, count(run([[local plain = loss
      loss = function(o, t, i)
        return plain(o, t) + (sm.no_grad(function() return other(i) end):mean() - o:mean()) ^ 2
      end]], { again = true }), "warning"))
  end)

  it("may be changed by the file itself: then no checkpoint has it", function()
    assert.matches("the file changes it, but no checkpoint has it", warned [[
      local mine = optim.sgd { lr = 0.1 }:add { w = w }
      local plain = loss
      loss = function(o, t)
        if w.grad then mine:step() mine:zero_grad() end
        return plain(o, t) + (w * w):mean()
      end]])
  end)

  it("may get it now and then", function()
    warned [[local plain, calls = loss, 0
      loss = function(o, t)
        calls = calls + 1
        return calls % 3 == 0 and plain(o, t) + (w * w):mean() or plain(o, t)
      end]]
  end)

  it("is none that was made within the step", function()
    local printed = run [[local plain = loss
      loss = function(o, t, i)
        local probe = i:detach():requires_grad()
        local saliency = sm.no_grad(function() return 0 end)
        model(probe):sum():backward()
        return plain(o, t) + (probe:detach() * 0):sum() + saliency
      end]]
    assert.equal(0, count(printed, "warning"))
  end)
end)

describe("a loss that stretches {N, 1} and {N} to {N, N}", function()
  local function targets(here)
    return "y = y:reshape(-1) " .. here
  end

  it("is warned of once, with the line and the shapes", function()
    local printed, result = run(targets "")
    assert.equal(1, count(printed, "warning"))
    assert.matches("tiny%.lua:9: warning: the loss stretches {10, 1} and {10} to {10, 10}", printed)
    assert.equal(1, count(tiny.read(result.directory .. "/log.txt"), "warning"))
    for _, body in ipairs {
      "(t - o) ^ 2", "o * t", "o / (t * t + 1)", "(o * o) ^ (t * 0)", "o:reshape(-1, 1, 1) + t",
    } do
      assert.equal(1, count(run(targets("loss = function(o, t) return (" .. body .. "):mean() end"), { again = true }),
        "the loss stretches"), body)
    end
  end)

  it("is none where both axes are written, sizes differ, or the loss does not do it", function()
    for _, body in ipairs {
      "o:reshape(-1) - t", "o - t:reshape(-1, 1)", "o - t:reshape(1, -1)", "o - sm.arange(4)", "o - t[1]", "o * 2 - 1",
      "o:reshape(1, -1) - t", "(o - t:reshape(-1, 1)) * sm.ones(1)",
    } do
      local printed = run(targets("loss = function(o, t) return ((" .. body .. ") ^ 2):mean() end"), { again = true })
      assert.equal(0, count(printed, "warning"), body)
    end
  end)
end)
