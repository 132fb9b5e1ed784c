--- Functions of the user's that the library calls, and that come back into it: in the middle of a build or of a step,
--- or out of it by a yield.
local sm = require "sm"
local nn, optim = sm.nn, sm.optim

local function message(f, ...)
  local ok, text = pcall(f, ...)
  assert.is_false(ok)
  assert.equal("string", type(text))
  return text
end

local function records()
  return (sm.ones(1):requires_grad() * 2):tracks()
end

describe("no_grad", function()
  it("holds for the coroutine that called it, and for those that it resumes", function()
    local stranger = coroutine.wrap(function()
      while true do coroutine.yield(records()) end
    end)
    local outer = coroutine.wrap(function()
      sm.no_grad(function()
        for _ = 1, 2 do
          assert.is_false(records())
          assert.is_false(stranger())
          coroutine.yield()
        end
      end)
    end)
    for _ = 1, 2 do
      outer()
      assert.is_true(records())
      assert.is_true(stranger())
    end
    outer()
    assert.is_true(records())
  end)

  it("holds in any order of coroutines that are inside", function()
    local function inside()
      sm.no_grad(function()
        coroutine.yield(records())
        sm.no_grad(coroutine.yield)
        coroutine.yield(records())
      end)
      coroutine.yield(records())
    end
    local one, other = coroutine.wrap(inside), coroutine.wrap(inside)
    assert.is_false(one())
    assert.is_false(other())
    for _, next_one in ipairs { one, other, other, one } do
      next_one()
      assert.is_true(records())
    end
    assert.is_true(other())
    assert.is_true(one())
    sm.no_grad(function() assert.is_false(records()) end)
    assert.is_true(records())
  end)

  it("ends with a coroutine that is closed, or let go", function()
    local function yielding() sm.no_grad(coroutine.yield) end
    local closed, dropped = coroutine.create(yielding), coroutine.create(yielding)
    assert(coroutine.resume(closed))
    assert(coroutine.resume(dropped))
    assert.is_true(coroutine.close(closed))
    dropped = nil -- luacheck: ignore
    collectgarbage()
    assert.is_true(records())
    assert.is_false(sm.no_grad(records))
  end)

  it("ends with an operation of one's own that is left in the middle", function()
    local double = sm.op { name = "double",
      forward = function(_, x) coroutine.yield() return x * 2 end,
      backward = function(_, gy) coroutine.yield() return gy * 2 end }
    local w = sm.ones(3):requires_grad()
    local co = coroutine.wrap(function() double(w):sum():backward() end)
    for _ = 1, 3 do
      assert.is_true(records())
      co()
    end
    assert.same({ 2, 2, 2 }, w.grad:totable())
  end)
end)

describe("a schedule", function()
  local function optimizer(during, more)
    local w = sm.ones(2):requires_grad()
    local opt = optim.adam { lr = function(step) return during(step) or 0.1 end, clip_norm = more and more.clip_norm }
    opt:add(w)
    w:sum():backward()
    return opt, w
  end

  it("cannot step or restore its optimizer in the middle of a step", function()
    local called = 0
    local opt, w
    opt, w = optimizer(function()
      called = called + 1
      if called == 1 then opt:step() end
    end)
    assert.matches("^tests/lua/reentry_spec%.lua:%d+: opt:step: the schedule of adam has called opt:step or "
      .. "opt:restore in the middle of step 1$", message(opt.step, opt))
    assert.equal(1, opt.steps)
    assert.is_true(math.abs(w:totable()[1] - 0.9) < 1e-6)
    opt = optimizer(function(step)
      if step == 2 then opt:restore({}, 0) end
    end)
    opt:step()
    assert.matches("in the middle of step 2$", message(opt.step, opt))
  end)

  it("cannot be left by one step for another", function()
    local opt = optimizer(function() coroutine.yield() end)
    local one = coroutine.wrap(function() opt:step() end)
    local other = coroutine.wrap(function() opt:step() end)
    one()
    other()
    one()
    assert.equal(1, opt.steps)
    assert.matches("in the middle of step 1$", message(other))
  end)

  it("may set gradients and add groups: they hold for the step", function()
    local v = sm.ones(2):requires_grad()
    local opt, w
    opt, w = optimizer(function(step)
      if step == 1 then v.grad = sm.full({ 2 }, 1000) end
      if step == 2 then
        local late = sm.ones(2):requires_grad()
        late.grad = sm.ones(2)
        opt:add({ late = late }, { lr = 1 })
      end
    end, { clip_norm = 1 })
    opt:add({ v = v }, { lr = 1 })
    opt:step()
    assert.is_true(v:totable()[1] < 0.1)
    local state = opt:state()
    assert.is_true(state["v.m"]:totable()[1] < 1, "clipped with the others")
    assert.is_true(state["parameter1.m"]:totable()[1] < 0.001)
    opt:step()
    assert.equal(2, opt.steps)
    assert.is_true(w:totable()[1] < 1)
  end)
end)

describe("a model", function()
  it("does not build or use itself while it is built", function()
    for _, use in ipairs { function(model) model:build { 2 } end, function(model) return model(sm.ones(2, 2)) end } do
      local model
      model = nn.sequential { nn.linear { 2 }, nn.fn(function(x) return use(model) or x end) }
      for _ = 1, 2 do
        assert.matches("in layer 'fn1' %(fn%) given {N, 2}: the model is being built: its own layers and initialisers "
          .. "cannot build or use it$", message(model.build, model, { 2 }))
      end
      assert.is_nil(next(model:parameters()))
    end
    local layer, tries = nil, 0
    layer = nn.linear { 2, init = function(shape)
      tries = tries + 1
      if tries == 1 then layer:build { 3 } end
      return sm.zeros(shape)
    end }
    assert.matches("the model is being built", message(layer.build, layer, { 2 }))
    assert.same({ 2, 2 }, layer:build { 2 }:parameters().weight.shape)
  end)

  it("that is put into itself is told as such", function()
    local model = nn.sequential { nn.linear { 2 } }
    model.layers[1] = model
    for _, f in ipairs {
      function() model:build { 2 } end, function() model:train() end, function() model:layer "linear1" end,
      function() tostring(model) end, function() nn.sequential { model } end,
    } do
      assert.matches("^tests/lua/reentry_spec%.lua:%d+: a model contains itself: the layers in it lead back to one "
        .. "that holds them$", message(f))
    end
  end)

  it("names what it is given that is no tensor", function()
    local layer = nn.linear { 2 }:build { 2 }
    assert.matches("in layer 'linear' %(linear%) given table: it takes a tensor, got table$",
      message(layer.apply, layer, {}))
    for _, slip in ipairs { "parameter", "buffer" } do assert.is_nil(layer[slip]) end
  end)
end)

it("an experiment's views are its own, all that there are", function()
  local checked = {}
  local function view(name)
    return { name = name, draw = function() end, check = function() checked[#checked + 1] = name end }
  end
  local views = { view "one", nil, view "two" }
  views[7] = view "seven"
  local declaration = require "sm.experiment.declare".declare {
    data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.zeros({ 4 }, "int32") },
    model = nn.linear { 2 }, optimizer = optim.sgd { lr = 1 }, schedule = { steps = 1, batch = 1 }, views = views,
  }
  for i in pairs(views) do views[i] = 0 end
  for _, each in ipairs(declaration.views) do each:check() end
  assert.same({ "one", "two", "seven" }, checked)
end)
