--- No way into memory through the bindings: what Lua code can do while one is at work, and with what it is given.
package.path = "tests/lua/?.lua;" .. package.path
local helpers = require "helpers"
local hostile = require "hostile"
local lfs = require "lfs"
local sm = require "sm"
local runtime = require "sm.runtime"

local T, K, C, S, L, O = runtime.tensor, runtime.math, runtime.conv, runtime.softmax, runtime.loss, runtime.optim
local has, message = helpers.has, helpers.message
local RELEASED = "this tensor was released: a gradient inside a backward pass lives only as long as the pass; keep a "
  .. "copy with :clone()"

local function contents(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

describe("the order in runtime/bind", function()
  -- The functions of a file: its name, its body, whether it returns a pointer or a struct.
  local function functions(text)
    text = text:gsub("/%*.-%*/", " "):gsub('"[^"\n]*"', '""')
    local found = {}
    for head, body in ("\n" .. text):gmatch "\n(%a[%w_ %*]*[%w_]+%s*%([^;{}]-%)) (%b{})" do
      local kind, name = head:match "^(.-)([%w_]+)%s*%("
      found[#found + 1] = { name = name, body = body, keeps = kind:find "%*" or not (kind:find "int " or
        kind:find "void " or kind:find "bool " or kind:find "double " or kind:find "size_t ") }
    end
    return found
  end

  -- What may follow: it raises, or neither allocates nor runs anything.
  local AFTER = { sm_lua_data = true, sm_lua_change = true, sm_lua_give = true, sm_lua_fail = true,
    sm_lua_raise = true, sm_lua_bad_argument = true, sm_lua_bad_index = true, lua_pushnil = true,
    lua_pushboolean = true, lua_pushinteger = true, lua_pushnumber = true, lua_settop = true,
    push_element = true, push_sums = true, check_status = true }

  -- The first call of Lua's in a body after a pointer was taken; `taking`: names of functions that return one.
  local function late_call(body, taking)
    local first = body:find "%f[%w_]sm_lua_data%(" or body:find "%f[%w_]sm_lua_change%("
    for name in pairs(taking) do
      local at = body:find("%f[%w_]" .. name .. "%(")
      first = at and math.min(at, first or at) or first
    end
    for name in body:sub(first or #body):gmatch "([%w_]+)%(L%f[%W]" do
      if not (AFTER[name] or taking[name]) then return name end
    end
  end

  local function late_call_in(text)
    local all, taking = functions(text), {}
    for _, f in ipairs(all) do
      if f.keeps and (f.body:find "sm_lua_data%(" or f.body:find "sm_lua_change%(") then taking[f.name] = true end
    end
    for _, f in ipairs(all) do
      local late = late_call(f.body, taking)
      if late then return f.name, late end
    end
    return nil, #all
  end

  it("leaves Lua alone once a binding has pointers", function()
    for name in lfs.dir "runtime/bind" do
      if name:find "%.c$" then
        local text = contents("runtime/bind/" .. name)
        local where, what = late_call_in(text)
        assert.is_nil(where, ("%s: %s calls %s with a pointer in hand"):format(name, where, what))
        assert.is_true(what >= 2)
        if name ~= "io.c" and name ~= "canvas.c" and name ~= "tensor.c" then
          assert.is_nil(text:match "%->data%f[^%w_]", name .. " takes a pointer without sm_lua_data")
        end
      end
    end
  end)

  it("is told from what breaks it", function()
    assert.equal("f", (late_call_in [[
static int f(lua_State *L) {
  real *x = sm_lua_data(L, a);
  sm_lua_new(L, SM_REAL, shape);
}
]]))
    assert.equal("g", (late_call_in [[
static const real *numbers(lua_State *L, const sm_tensor *x) { return sm_lua_data(L, x); }
static int g(lua_State *L) {
  const real *x = numbers(L, a);
  kernel(x, sm_lua_field_number(L, 2, "lr", 0));
}
]]))
  end)
end)

describe("metatables", function()
  it("of tensors and shapes are hidden", function()
    assert.is_false(getmetatable(sm.zeros(1)))
    assert.is_false(getmetatable(sm.zeros(1).shape))
    assert.is_nil(rawget(runtime.tensor, "metatable"))
    assert.is_false(pcall(setmetatable, sm.zeros(1).shape, nil))
  end)

  it("hold functions that check their object", function()
    local meta = debug.getmetatable(sm.zeros(1))
    for _, object in ipairs { {}, 1, "x", io.stdout, print } do
      for _, key in ipairs { "shape", "grad", "dtype", 1 } do
        assert.is_false(pcall(meta.__index, object, key))
        assert.is_false(pcall(meta.__newindex, object, key, nil))
      end
      for name, f in pairs(meta) do
        if type(f) == "function" and name ~= "__gc" then assert.is_false(pcall(f, object, object)) end
      end
      assert.is_true(pcall(meta.__gc, object))
    end
    assert.is_false(pcall(meta.__index))
    local x = sm.ones(3)
    meta.__gc(x)
    meta.__gc(x)
    assert.equal(RELEASED, message(function() return x:sum() end))
    assert.same({ 3 }, x.shape)
  end)

  it("do not give away how to release a tensor", function()
    assert.is_nil(runtime.tensor.release)
    local kept = package.loaded["sm.runtime"]
    package.loaded["sm.runtime"] = nil
    local again = require "sm.runtime"
    package.loaded["sm.runtime"] = kept
    assert.is_nil(again.tensor.release)
  end)

  it("of the memory of all tensors does no harm", function()
    for key, value in pairs(debug.getregistry()) do
      local own = type(value) == "userdata" and (type(key) == "userdata" or tostring(key):find "^sm%.")
      local meta = own and debug.getmetatable(value)
      if meta and meta.__gc then
        pcall(meta.__gc, value)
        pcall(meta.__gc, {})
      end
    end
    local x = sm.ones(1000)
    assert.equal(1000, x:sum():item())
  end)

  it("may be asked for a tensor by what is finalized last of all", function()
    if os.getenv "EMULATED" then return pending "a program of this processor cannot load it" end
    local program = [[
      local sm
      last = setmetatable({}, { __gc = function()
        io.write(math.tointeger(sm.ones(3):sum():item()), " ", tostring(pcall(kept.sum, kept)))
      end })
      sm = require "sm"
      kept = sm.ones(5)]]
    local pipe <close> = io.popen(("lua5.4 -e '%s' 2>&1"):format(program))
    assert.equal("3 false", pipe:read "a")
  end)
end)

describe("a finalizer in the middle of a binding", function()
  -- A leaf whose gradient, of ones, nobody has seen: it goes back to the pool as soon as it is replaced.
  local function leaf(...)
    local x = sm.ones(...):requires_grad()
    x:sum():backward()
    return x
  end
  local function seize(...) -- most likely the block that was released
    for _ = 1, 4 do T.full({ ... }, 1e30) end
  end

  --- Each outcome is one of those expected.
  local function only(expected, outcomes)
    for outcome in pairs(outcomes) do
      local known = false
      for _, part in ipairs(expected) do known = known or outcome:find(part, 1, true) end
      assert.is_truthy(known, "unexpected outcome: " .. outcome)
    end
  end

  --- Attacks call(g), where g is a gradient of this shape that is released meanwhile.
  local function release(shape, right, call)
    local x, g
    only({ right, RELEASED }, hostile.attack(function()
      x = leaf(table.unpack(shape))
      g = T.gradient(x)
    end, function()
      x.grad = nil
      seize(table.unpack(shape))
    end, function() return call(g) end))
  end

  it("releases an operand", function()
    release({ 600 }, "600", function(g) return T.item(K.sum(g)) end)
    release({ 600 }, "600", function(g) return T.item(K.sum(runtime.pointwise.add(g, 0))) end)
    release({ 600 }, "600", function(g) return T.item(K.sum(T.to(g))) end)
    release({ 20, 30 }, "600", function(g) return T.item(K.sum(T.select(g, 1))) * 20 end)
    local shape, column = { 600 }, sm.ones(30, 1)
    release({ 20, 30 }, "600", function(g) return T.item(K.sum(T.reshape(g, shape))) end)
    release({ 600 }, "table", function(g) return (tostring(T.totable(g)):gsub(":.*", "")) end)
    release({ 20, 30 }, "600", function(g) return T.item(K.sum(K.matmul(g, column))) end)
    local deep, long = { 20, 30, 2 }, { 40, 30 }
    release({ 20, 30 }, "600", function(g) return T.item(K.sum(K.spread(g, deep, 3, 0.5))) end)
    release({ 20, 30 }, "600", function(g) return T.item(K.sum(T.place(g, long, 10))) end)
    release({ 20, 30 }, "600", function(g) return T.item(K.sum(runtime.random.dropout(g, 0, 1, 1, 0))) end)
  end)

  it("releases what a softmax or a loss reads", function()
    local sizes = { 10, 20 }
    release({ 20, 30 }, "40", function(g)
      return math.floor(T.item(K.sum(S.softmax(g, sizes, 1, false, false))) + 0.5)
    end)
    local labels = sm.zeros({ 20 }, "uint8")
    release({ 20, 30 }, "3.4", function(g) return T.item((L.cross_entropy(g, labels, nil, 0))) end)
  end)

  it("releases what a convolution or a pool reads", function()
    local w, plain = sm.ones(3, 3, 1, 1), { stride = 1, padding = "valid" }
    local pool, window = { stride = { 2, 2 }, padding = "valid" }, { 2, 2 }
    local shape, filters, images = { 2, 14, 14, 1 }, { 3, 3, 1, 1 }, sm.ones(2, 14, 14, 1)
    release({ 2, 12, 12, 1 }, "1800", function(g) return T.item(K.sum(C.conv2d(g, w, nil, plain))) end)
    release({ 2, 12, 12, 1 }, "2592", function(g)
      return T.item(K.sum(C.conv2d_backward_data(g, w, shape, plain)))
    end)
    release({ 2, 12, 12, 1 }, "2592", function(g)
      return T.item(K.sum((C.conv2d_backward_filter(g, images, filters, plain, true))))
    end)
    release({ 2, 12, 12, 1 }, "72", function(g) return T.item(K.sum((C.maxpool2d(g, window, pool, false, true)))) end)
    release({ 2, 12, 12, 1 }, "72", function(g) return T.item(K.sum(C.avgpool2d(g, window, pool))) end)
  end)

  it("releases what a recurrent network or attention reads", function()
    local R, A, v = runtime.recurrent, runtime.attention, sm.zeros(2, 8)
    local function states(g)
      return math.floor(T.item(K.sum((R.forward("lstm", g, v, nil, nil, nil, false, false)))) * 1000)
    end
    release({ 2, 3, 8 }, tostring(states(sm.ones(2, 3, 8))), states)
    release({ 2, 3, 2 }, "12", function(g) return T.item(K.sum((R.before(g, sm.ones(2, 2), false)))) end)
    release({ 2, 3, 6 }, "12", function(g)
      return math.floor(T.item(K.sum((A.forward(g, nil, nil, nil, 1, false, 1, true)))) + 0.5)
    end)
    local gy, y, sums = sm.ones(2, 3, 2), sm.ones(2, 3, 2), sm.full({ 2, 1, 3 }, 2 + math.log(3))
    release({ 2, 3, 6 }, "12", function(g)
      return math.floor(T.item(K.sum((A.backward(gy, y, sums, g, nil, nil, nil, 1, false, 1)))) + 0.5)
    end)
  end)

  it("rewrites labels and positions that were right", function()
    local labels, good = sm.zeros({ 20 }, "int32"), sm.zeros({ 20 }, "int32")
    local bad = sm.full({ 20 }, 1 << 30, "int32")
    local function rewrite(expected, call)
      only(expected, hostile.attack(function() labels:copy_(good) end, function() labels:copy_(bad) end, call))
    end
    local logits, rows, gy, shape = sm.ones(20, 30), sm.ones(20, 5), sm.ones(20), { 20, 3 }
    rewrite({ "3.4", "got 1073741824 at position 1" }, function()
      return T.item((L.cross_entropy(logits, labels, nil, 0)))
    end)
    rewrite({ "100", "row 1073741824 is out of range" }, function()
      return T.item(K.sum(T.gather(rows, labels, 0, 20)))
    end)
    rewrite({ "20", "positions within the axis" }, function()
      return T.item(K.sum(K.extremes_backward(gy, labels, shape, 2)))
    end)
  end)

  it("asks for more threads than there is scratch for", function()
    local before = runtime.system.threads()
    local x, w, options = sm.ones(64, 12, 12, 16), sm.ones(5, 5, 16, 16), { stride = 1, padding = "same" }
    only({ "userdata", "the number of threads was changed" },
      hostile.attack(function() runtime.system.set_threads(1) end, function() runtime.system.set_threads(64) end,
        function() return type(C.conv2d(x, w, nil, options)) end))
    runtime.system.set_threads(before)
  end)
end)

describe("metamethods of a table of options", function()
  it("are not called by a binding", function()
    local called = 0
    local p = sm.ones(50):requires_grad()
    local function hook()
      called = called + 1
      p.grad = nil
      T.full({ 50 }, 1e30)
    end
    local function trap(fields)
      return setmetatable(fields, { __index = hook, __len = hook, __pairs = hook, __newindex = hook })
    end
    p:sum():backward()
    local g, state = T.gradient(p), sm.zeros(50)
    O.sgd(p, g, nil, trap {})
    O.rmsprop(p, g, state, trap { epsilon = 1 })
    O.adam(p, g, state, sm.zeros(50), trap { epsilon = 1 })
    O.smorms3(p, g, sm.ones(50), sm.zeros(50), sm.zeros(50), trap { epsilon = 1 })
    O.smorms3_look(trap { trap { sm.ones(50), sm.zeros(50), sm.zeros(50), trap { epsilon = 1 } } }, 0.5)
    assert.equal(50, p:sum():item())
    local x, w = sm.ones(1, 8, 8, 1), sm.ones(3, 3, 1, 1)
    C.conv2d(x, w, nil, trap { stride = 1 })
    C.avgpool2d(x, 2, trap { stride = trap { 2, 2 } })
    C.maxpool2d(x, 2, trap { stride = trap { 2, 2 }, padding = trap { 0, 0 } })
    assert.equal(0, called)
  end)

  it("are refused where what they add would be lost", function()
    local x = sm.ones(1, 8, 8, 1)
    local function behind(fields) return setmetatable({}, { __index = fields }) end
    for _, call in ipairs {
      function() return x:maxpool2d(2, behind { stride = 1 }) end,
      function() return x:conv2d(sm.ones(3, 3, 1, 1), behind { stride = 2 }) end,
      function() return x:softmax(behind { groups = 1 }) end,
      function() return sm.optim.sgd(behind { lr = 1 }) end,
    } do
      has(message(call), "expected a plain table; this one")
    end
    for _, call in ipairs {
      function() return sm.zeros(behind { 2, 3 }) end,
      function() return sm.tensor(behind { 2, 3 }) end,
      function() return sm.tensor { behind { 2, 3 } } end,
      function() return sm.ones(6):reshape(behind { 2, 3 }) end,
    } do
      has(message(call), "expected a plain table, got one whose metatable gives it elements")
    end
    local list = setmetatable({ 1, 2 }, { __index = table })
    assert.same({ 1, 2 }, sm.tensor(list):totable())
    assert.same({ 1, 2 }, sm.zeros(list).shape)
    assert.same({ 2 }, sm.tensor(sm.zeros(3, 4).shape).shape)
    local sizes = { 1, 3 }
    local y = sm.ones(1, 4):requires_grad()
    local loss = y:softmax({ sizes = sizes, off = true }):sum()
    sizes[1], sizes[2] = 2, 2
    loss:backward()
    assert.near(0.19661, y.grad:totable()[1][1], 1e-5) -- the slope of the logistic function at 1
  end)
end)

describe("what the bindings are given", function()
  it("is checked: functions of the runtime with any arguments", function()
    assert.is_false(pcall(runtime.traced, print, -5, print))
    assert.is_false(pcall(runtime.traced, print, 1 << 40, print))
    assert.is_false(pcall(O.adam, sm.ones(2), sm.ones(2), sm.ones(2), sm.ones(2), { step = -1 }))
    assert.is_false(pcall(O.adam, sm.ones(2), sm.ones(2), sm.ones(2), sm.ones(2), { step = 0 / 0 }))
    local x = sm.full({ 1, 4, 4, 1 }, -1)
    assert.equal(-4, T.item(K.sum((C.maxpool2d(x, 2, { stride = 2 })))))
    for _, stride in ipairs { 0, -1, 1 << 31, 1.5, "1", { 1 }, { 1, 1 << 40 } } do
      assert.is_false(pcall(C.maxpool2d, x, 2, { stride = stride }))
      assert.is_false(pcall(C.conv2d, x, sm.ones(3, 3, 1, 1), nil, { stride = stride }))
      if stride ~= 0 then assert.is_false(pcall(C.avgpool2d, x, 2, { stride = 1, padding = stride })) end
    end
  end)

  it("is checked: forged positions, shapes and sums", function()
    local g = sm.ones(2)
    for _, bad in ipairs { -1, 3, 1 << 30, -(1 << 31) } do
      has(message(K.extremes_backward, g, sm.full({ 2 }, bad, "int32"), { 2, 3 }, 2), "positions within the axis")
      local y = sm.ones(1, 2, 2, 1)
      assert.is_false(pcall(C.maxpool2d_backward, y, sm.full({ 1, 2, 2, 1 }, bad, "int32"), { 1, 600, 600, 1 },
        300, { stride = 300 }) and bad ~= 3)
    end
    assert.is_false(pcall(K.extremes_backward, g, sm.zeros(2), { 2, 3 }, 2))
    assert.is_false(pcall(K.extremes_backward, sm.ones(3), sm.zeros({ 3 }, "int32"), { 2, 3 }, 2))
    assert.is_false(pcall(C.maxpool2d_backward, sm.ones(1, 2, 2, 1), sm.full({ 1, 2, 2, 1 }, 4, "uint8"),
      { 1, 4, 4, 1 }, 2, { stride = 2 }))
    for _, first in ipairs { -1, 3, 1 << 62, math.maxinteger, math.mininteger } do
      assert.is_false(pcall(T.place, sm.ones(2, 3), { 4, 3 }, first))
    end
    assert.is_false(pcall(T.place, sm.ones({ 2 }, "uint8"), { 4 }, 0))
    assert.is_false(pcall(T.place, sm.ones(2), { 1 << 40, 1 << 40 }, 0))
    assert.is_false(pcall(K.spread, g, { 3, 5 }, 2, 1))
    assert.is_false(pcall(K.spread, g, { 2, 1 << 62 }, 2, 1))
    assert.is_false(pcall(K.sum_to, sm.ones(2, 3), { 2, 4 }))
    assert.is_false(pcall(K.sum_to, sm.ones(3), { 2, 3 }))
    local logits, labels = sm.ones(2, 3), sm.zeros({ 2 }, "int32")
    for _, sums in ipairs { sm.ones(1), sm.ones(3), sm.ones({ 2 }, "int32"), sm.zeros(0) } do
      assert.is_false(pcall(L.cross_entropy_backward, sm.ones(1), sums, 2, logits, labels, nil, 0))
    end
    assert.is_false(pcall(L.cross_entropy_backward, sm.ones(2), sm.ones(2), 2, logits, labels, nil, 0))
    local below = sm.full({ 2 }, -1, "int32")
    assert.is_false(pcall(L.cross_entropy_backward, sm.ones(1), sm.ones(2), 2, logits, below, nil, 0))
    assert.is_true(pcall(L.cross_entropy_backward, sm.ones(1), sm.ones(2), 2, logits, below, nil, 0, -1))
    assert.is_false(pcall(L.cross_entropy, logits, labels, sm.ones(2), 0))
    assert.is_false(pcall(L.cross_entropy, logits, labels, nil, 1.5))
    local image, options = sm.ones(1, 4, 4, 2), { stride = 1, padding = "same" }
    local huge = { 1 << 40, 1 << 40, 1, 1 }
    for _, shape in ipairs { { 1, 4, 4, 3 }, { 2, 4, 4, 2 }, { 1, 5, 4, 2 }, { 4, 4, 2 }, huge } do
      assert.is_false(pcall(C.conv2d_backward_data, image, sm.ones(3, 3, 2, 2), shape, options))
      assert.is_false(pcall(C.avgpool2d_backward, image, shape, 2, { stride = 3 }))
    end
    for _, shape in ipairs { { 3, 3, 3, 2 }, { 3, 3, 2 }, { 0, 3, 2, 2 }, { 1 << 31, 1 << 31, 2, 2 } } do
      assert.is_false(pcall(C.conv2d_backward_filter, image, image, shape, options, true))
    end
  end)

  it("is checked: sizes whose product wraps", function()
    local wraps = { 274177, 67280421310721 }
    for _, call in ipairs {
      function() return sm.zeros(1):reshape(wraps) end, function() return T.full(wraps, 0) end,
      function() return runtime.random.uniform(wraps, 0, 0, 0) end,
      function() return T.place(sm.ones(1), wraps, 0) end,
      function() return K.sum_to(sm.ones(1), wraps) end, function() return K.spread(sm.ones(1), wraps, nil, 1) end,
      function() return K.extremes_backward(sm.ones(1), sm.zeros({ 1 }, "int32"), wraps, nil) end,
      function() return T.gather(sm.ones(1, 3), sm.zeros({ 2 }, "int32"), 0, 1 << 40) end,
    } do
      assert.is_false(pcall(call))
    end
  end)
end)
