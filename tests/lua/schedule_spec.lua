local optim = require "sm.optim"
local helpers = dofile "tests/lua/helpers.lua"
local error_of = helpers.error_of

describe("schedules", function()
  it("are plain functions of the step", function()
    assert.are.equal("function", type(optim.constant(0.5)))
    assert.are.equal(0.5, optim.constant(0.5)(1))
    assert.are.equal(0.5, optim.constant(0.5)(1e6))
  end)

  it("step: changes after every so many steps", function()
    local rate = optim.step { lr = 0.8, every = 10, factor = 0.5 }
    assert.are.equal(0.8, rate(1))
    assert.are.equal(0.8, rate(10))
    assert.are.equal(0.4, rate(11))
    assert.are.equal(0.2, rate(21))
  end)

  it("cosine: from lr through the middle to the floor", function()
    local rate = optim.cosine { lr = 1, steps = 100, floor = 0.2 }
    assert.are.equal(1, rate(1))
    assert.is_near(0.6, rate(51), 1e-12)
    assert.is_near(0.2, rate(101), 1e-12)
    assert.are.equal(rate(101), rate(5000))
    for step = 2, 101 do assert.is_true(rate(step) < rate(step - 1)) end
    assert.is_near(0, optim.cosine { lr = 1, steps = 10 }(11), 1e-12)
  end)

  it("warmup: a straight line, then another schedule from its own first step", function()
    local after = optim.cosine { lr = 0.4, steps = 10 }
    local rate = optim.warmup { steps = 4, after = after }
    assert.is_near(0.1, rate(1), 1e-12)
    assert.is_near(0.4, rate(4), 1e-12)
    for step = 1, 12 do assert.are.equal(after(step), rate(4 + step)) end
    local flat = optim.warmup { steps = 2, after = 0.3 }
    assert.is_near(0.15, flat(1), 1e-12)
    assert.are.equal(0.3, flat(3))
  end)

  it("can be put inside one another, and take functions of the user's", function()
    local inner = optim.warmup { steps = 2, after = function(step) return 1 / step end }
    local rate = optim.warmup { steps = 2, after = inner }
    assert.is_near(0.25, rate(1), 1e-12) -- half of the inner warm-up's first rate, 1/2
    assert.is_near(0.5, rate(3), 1e-12)
    assert.is_near(0.5, rate(6), 1e-12) -- the innermost function's step 2
  end)

  it("are in the record of a run in words", function()
    local rate = optim.warmup { steps = 200, after = optim.cosine { lr = 1e-3, steps = 6000 } }
    assert.are.equal("200 steps of warm-up, then cosine from 0.001 to 0 over 6000 steps",
      optim.adam { lr = rate }.settings.lr)
    assert.truthy(optim.adam { lr = function() return 1 end }.settings.lr:find("schedule_spec%.lua:%d+"))
    assert.are.equal(0.25, optim.adam { lr = 0.25 }.settings.lr)
  end)

  it("refuse what does not make sense", function()
    assert.truthy(error_of(optim.step, { lr = 1, evry = 3, factor = 2 }):find(
      "optim.step: unknown option 'evry'; did you mean 'every'?", 1, true))
    assert.truthy(error_of(optim.cosine, { lr = 1 }):find("optim.cosine", 1, true))
    assert.truthy(error_of(optim.warmup, { steps = 0, after = 1 }):find(
      "'steps' must be at least 1, got 0", 1, true))
    assert.truthy(error_of(optim.constant, "fast"):find("optim.constant", 1, true))
    assert.truthy(error_of(optim.warmup, { steps = 1, after = "x" }):find("option 'after'", 1, true))
  end)
end)
