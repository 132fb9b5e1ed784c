local check = require "sm.check"

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
