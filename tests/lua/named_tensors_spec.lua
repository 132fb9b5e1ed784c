--- Data sets and models whose inputs, outputs and targets are tables of tensors by name.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"

local function fails(f, ...)
  local ok, message = pcall(f)
  assert.is_false(ok, "expected an error")
  assert.matches("named_tensors_spec%.lua:%d+: ", message)
  for _, part in ipairs { ... } do
    assert.is_truthy(message:find(part, 1, true), ("%q is not in %q"):format(part, message))
  end
end

local function refuses(options, ...)
  fails(function() sm.data.tensors(options) end, ...)
end

describe("a data set of tensors by name", function()
  local number = sm.arange(8):reshape(8, 1)
  local image = sm.zeros({ 8, 2, 2, 1 }, "uint8")
  local bytes = sm.tensor({ { 0 }, { 51 }, { 102 }, { 153 }, { 204 }, { 255 }, { 0 }, { 0 } }, "uint8")
  local word = sm.tensor({ 0, 1, 2, 3, 4, 5, 6, 7 }, "int32")

  it("has shapes and types by name, and batches that keep rows together", function()
    local given = { number = number, byte = bytes, word = word }
    local set = sm.data.tensors { inputs = given, targets = { double = number * 2, class = word }, validation = 2,
                                  test_inputs = given, test_targets = { double = number * 2, class = word } }
    given.word = nil
    assert.same({ number = { 1 }, byte = { 1 }, word = {} }, set.shape)
    assert.same({ number = runtime.real, byte = runtime.real, word = "int32" }, set.dtype)
    assert.equal("tensors: 6 train, 2 validation, 8 test examples of {byte = {1}, number = {1}, word = {}}, "
      .. "byte bytes as 0 to 1, word indices", tostring(set))
    assert.same({ 6, 2, 8 }, { #set.train, #set.validation, #set.test })
    assert.is_nil(set.classes)
    local x, y = set.test:batches(3)()
    assert.same({ { 0 }, { 1 }, { 2 } }, x.number:totable())
    assert.near(0.4, x.byte[3]:item(), 1e-7)
    assert.same({ 0, 1, 2 }, x.word:totable())
    assert.same({ { 0 }, { 2 }, { 4 } }, y.double:totable())
    local stream = set:stream(4)
    for _ = 1, 5 do -- over the borders of epochs, too
      x, y = stream:next()
      assert.same(y.class:totable(), x.word:totable())
      assert.same(y.double:totable(), (x.number * 2):totable())
      assert.is_true(x.word:totable()[1] >= 2)
    end
  end)

  it("takes kinds by name", function()
    local set = sm.data.tensors { inputs = { a = bytes, b = bytes }, targets = number, kind = { b = "numbers" } }
    local x = set.train:batches(6)()
    assert.near(1, x.a[6]:item(), 1e-7)
    assert.equal(255, x.b[6]:item())
    assert.equal("tensors: 8 train examples of {a = {1}, b = {1}}, a bytes as 0 to 1", set.description)
    set = sm.data.tensors { inputs = { a = bytes, b = bytes }, targets = number, kind = "indices" }
    assert.same({ a = "int32", b = "int32" }, set.dtype)
    assert.equal("tensors: 8 train examples of {a = {1}, b = {1}}, indices", set.description)
    refuses({ inputs = { left = bytes }, targets = number, kind = { lft = "pixels" } },
      "data.tensors: option 'kind' names 'lft', which is no input; did you mean 'left'?")
    refuses({ inputs = { left = number }, targets = number, kind = { left = "pixels" } },
      "'inputs.left' of " .. runtime.real .. " can be numbers, got kind = \"pixels\"")
    refuses({ inputs = bytes, targets = number, kind = { left = "pixels" } }, "option 'kind' must be a string")
  end)

  it("must fit together", function()
    refuses({ inputs = { left = image, right = word:slice(1, 4) }, targets = number },
      "data.tensors: 'inputs.left' has 8 examples, 'inputs.right' 4")
    refuses({ inputs = { left = image }, targets = { far = word, near = number:slice(1, 2) } },
      "data.tensors: 'inputs.left' has 8 examples, 'targets.near' 2")
    refuses({ inputs = { image, word }, targets = number },
      "data.tensors: 'inputs' must have tensors by name, as in { left = x, right = y }, got one at 1")
    refuses({ inputs = {}, targets = number }, "data.tensors: 'inputs' is an empty table")
    refuses({ inputs = { left = 3 }, targets = number }, "'inputs.left' must be a tensor, got number 3")
    refuses({ inputs = { left = sm.tensor(1) }, targets = number }, "'inputs.left' needs an axis of examples")
    refuses({ inputs = { left = image }, targets = { class = (-number):to "int32":reshape(8) } }, "label 2 is -1")
    refuses({ inputs = number, targets = { class = word }, classes = 8 }, "'classes' goes with one tensor of labels")
    refuses({ inputs = { left = image }, targets = word, test_inputs = { right = image }, test_targets = word },
      "tensors: training examples have shape {left = {2, 2, 1}}, test examples {right = {2, 2, 1}}")
    refuses({ inputs = { left = word }, targets = word, test_inputs = { left = word:to(runtime.real) },
      test_targets = word }, "training examples are indices, test examples numbers")
  end)
end)

local text <const> = [[
local sm = require "sm"
local nn = sm.nn
local left, right = sm.randn(60, 4), sm.randn(60, 4)
local near = (left - right):norm(2):lt(2.5):to(left.dtype)

local pair = nn.layer {
  kind = "pair",
  layers = function() return { embed = nn.sequential { nn.linear { 8 }, nn.tanh(), nn.linear { 2 } } } end,
  forward = function(self, x)
    return { left = self.embed(x.left), right = self.embed(x.right) }
  end,
}

return sm.experiment {
  data = sm.data.tensors {
    inputs = { left = left, right = right }, targets = { near = near }, validation = 10,
    test_inputs = { left = left:slice(1, 20), right = right:slice(1, 20) }, test_targets = { near = near:slice(1, 20) },
  },
  model = pair(),
  loss = LOSS,
  metrics = { right = function(output, target)
    return (output.left - output.right):norm(2):lt(1):eq(target.near:gt(0)):to(target.near.dtype):mean()
  end },
  optimizer = sm.optim.adam { lr = 1e-2 }, seed = 2,
  schedule = { steps = 40, batch = 7, evaluate = 20, checkpoint = 20, keep = 5 },
}
]]

local contrastive <const> = [[function(output, target, input)
    assert(#input.left == #target.near)
    local distance = (output.left - output.right):square():sum(2):add(1e-6):sqrt()
    local apart = sm.maximum(1.5 - distance, 0)
    return (target.near * distance:square() + (1 - target.near) * apart:square()):mean()
  end]]

describe("an experiment on tensors by name", function()
  local workspace = os.tmpname()
  os.remove(workspace)
  setup(function() assert(lfs.mkdir(workspace)) end)
  teardown(function() os.execute("rm -r " .. helpers.quote(workspace)) end)

  local function run(words, loss)
    helpers.write(workspace .. "/pair.lua", (text:gsub("LOSS", function() return loss end)))
    return helpers.shell(workspace, '"$SMRUN" ' .. words)
  end

  it("trains a siamese network, resumes to the same bits, and evaluates", function()
    local status, _, err = run("pair.lua --quiet", contrastive)
    assert.equal(0, status, err)
    local directory = workspace .. "/runs/pair/default/"
    local summary = helpers.read(directory .. "summary.json")
    local record = helpers.read(directory .. "environment.json")
    assert.matches('"test_right"', summary)
    assert.matches('"train inputs.left"', record)
    assert.matches('"dtype.left"', record)
    local whole = sm.load(directory .. "checkpoints/step-000040.safetensors")
    assert(os.remove(directory .. "checkpoints/step-000040.safetensors"))
    assert(os.remove(directory .. "summary.json"))
    status, _, err = run("resume runs/pair/default --quiet", contrastive)
    assert.equal(0, status, err)
    local resumed = sm.load(directory .. "checkpoints/step-000040.safetensors")
    for name, tensor in pairs(whole) do assert.same(tensor:totable(), resumed[name]:totable(), name) end
    local out
    status, out, err = run("eval runs/pair/default", contrastive)
    assert.equal(0, status, err)
    assert.matches("validation +loss 0%.%d+", out)
  end)

  it("names the tensor of a batch that is not finite, and refuses a loss that takes one tensor", function()
    local status, _, err = run("pair.lua --quiet", "'mse'")
    assert.equal(1, status)
    assert.is_truthy(err:find("the loss \"mse\" takes one tensor of targets, but those of tensors have names", 1, true))
    status, _, err = run("pair.lua --quiet", "function(output) sm.no_grad(function() right:copy_(right / 0) end) "
      .. "return output.left:mean() + output.right:mean() end")
    assert.equal(1, status)
    assert.is_truthy(err:find("'right' of the batch is not finite", 1, true), err)
  end)
end)
