local check = require "sm.check"
local sm = require "sm"

describe("the nearest name", function()
  local options <const> = { "steps", "batch", "evaluate", "checkpoint", "log", "keep", "num_layers", "lr" }

  local function nearest(word)
    return check.suggest(word, options):match "^; did you mean '(.*)'%?$"
  end

  it("is that of a slip", function()
    for word, meant in pairs {
      stpes = "steps", step = "steps", Batch = "batch", evalaute = "evaluate", kep = "keep", rl = "lr",
    } do
      assert.equal(meant, nearest(word), word)
    end
    assert.equal("", check.suggest("d", { "a", "b" }))
    assert.equal("; did you mean 'd'?", check.suggest("D", { "a", "d" }))
  end)

  it("is one that begins so, or has it as a word", function()
    assert.equal("evaluate", nearest "eval")
    assert.equal("checkpoint", nearest "check")
    assert.equal("log", nearest "logging")
    assert.equal("steps", nearest "num_steps")
    assert.equal("num_layers", nearest "layers")
  end)

  it("is none where nothing is near", function()
    for _, word in ipairs { "optimizer", "x", "e", "", "momentum", "point" } do assert.is_nil(nearest(word), word) end
  end)
end)

it("no function ignores an argument, but a nil", function()
  local x, init = sm.ones(2, 3), sm.nn.init
  local cases = {
    reshape = function(...) return x:reshape({ 3, 2 }, ...) end,
    zeros = function(...) return sm.zeros({ 2 }, "uint8", ...) end,
    ones = function(...) return sm.ones({ 2 }, nil, ...) end,
    rand = function(...) return sm.rand({ 2 }, nil, ...) end,
    randn = function(...) return sm.randn({ 2 }, nil, ...) end,
    ["nn.init.normal"] = function(...) return init.normal(1, ...) end,
    ["nn.init.truncated_normal"] = function(...) return init.truncated_normal(1, ...) end,
    ["nn.init.constant"] = function(...) return init.constant(1, ...) end,
    ["view.groups"] = function(...) return sm.view.groups("softmax1", ...) end,
    ["view.filters"] = function(...) return sm.view.filters("conv1", ...) end,
  }
  for _, name in ipairs { "zeros", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform" } do
    cases["nn.init." .. name] = function(...) return init[name](...) end
  end
  for name, case in pairs(cases) do
    assert.truthy(case(nil))
    local ok, message = pcall(case, 7)
    assert.is_false(ok, name)
    assert.matches(("%%d: %s takes .*, got .*number 7$"):format(name), message)
  end
end)
