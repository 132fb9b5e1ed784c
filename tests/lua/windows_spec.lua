--- Windows that slide over images: pools of any shape, what conv2d and the pools take and refuse, and numbers that are
--- no ordinary ones.
local sm = require "sm"
local fused = require "sm.fused"
local nn = sm.nn
local exact = require "sm.runtime".real == "float64"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has = helpers.error_of, helpers.has

local function gradcheck(f, ...)
  return sm.gradcheck(f, { ... }, not exact and { tolerance = 5e-2, epsilon = 1e-2 } or nil)
end

--- Distinct values, far enough apart that a difference step does not change which one is the largest.
local function scrambled(...)
  local count = 1
  for _, size in ipairs { ... } do count = count * size end
  local values = {}
  for i = 1, count do values[i] = i * 7919 % (count + 1) * 0.1 end
  return sm.tensor(values):reshape(...)
end

local function shape_of(x) return table.concat(x.shape, " ") end

describe("pools", function()
  before_each(function() sm.seed(3) end)

  it("step by the window's own height and width unless told otherwise", function()
    local x = sm.tensor({ 1, 5, 2, 8, 3, 0, 7, 4 }):reshape(1, 1, 8, 1)
    assert.are.same({ { { { 8 }, { 7 } } } }, x:maxpool2d({ 1, 4 }):totable())
    assert.are.same({ { { { 4 }, { 3.5 } } } }, x:avgpool2d({ 1, 4 }):totable())
    local images = sm.randn(1, 4, 8, 1)
    assert.equal("1 4 2 1", shape_of(images:maxpool2d { 1, 4 }))
    assert.equal("1 1 8 1", shape_of(images:avgpool2d { 4, 1 }))
    assert.equal("1 2 3 1", shape_of(images:maxpool2d({ 1, 4 }, { stride = { 3, 2 } })))
    assert.equal("1 2 3 1", shape_of(images:avgpool2d({ 2, 4 }, { stride = { 3, 4 }, padding = { 1, 2 } })))
    assert.equal("1 2 8 1", shape_of(images:maxpool2d(2, { stride = { 2, 1 }, padding = "same" })))
  end)

  it("have right gradients for every stride and padding", function()
    for _, o in ipairs { {}, { stride = { 2, 1 } }, { stride = { 1, 3 } }, { padding = { 1, 0 } }, { padding = "same" },
      { padding = { 0, 1 }, stride = { 3, 2 } }, { padding = "same", stride = { 2, 3 } } } do
      for _, kernel in ipairs { { 2, 3 }, { 3, 2 }, 2 } do
        gradcheck(function(x) return x:maxpool2d(kernel, o) end, scrambled(2, 5, 6, 3))
        gradcheck(function(x) return x:avgpool2d(kernel, o) end, sm.randn(2, 5, 6, 3))
      end
    end
  end)

  it("take windows of any size, the whole image too", function()
    local x = scrambled(2, 40, 30, 2):requires_grad()
    local y = x:maxpool2d { 40, 30 }
    assert.equal("2 1 1 2", shape_of(y))
    assert.are.same(x:detach():reshape(2, 1200, 2):max(2):totable(), y:reshape(2, 2):totable())
    y:sum():backward()
    assert.equal(4, x.grad:sum():item())
    assert.equal(4, (x.grad * x:detach()):sum():item() / y:detach():sum():item() * 4)
    local mean = x:detach():avgpool2d { 40, 30 }
    assert.is_true((mean:reshape(2, 2) - x:detach():reshape(2, 1200, 2):mean(2)):abs():max():item() < 1e-3)
    local overlapping = x:detach():maxpool2d({ 17, 16 }, { stride = 1, padding = "same" })
    assert.equal("2 40 30 2", shape_of(overlapping))
    if not exact then return end
    gradcheck(function(z) return z:maxpool2d({ 17, 16 }, { stride = { 2, 3 } }) end, scrambled(1, 19, 19, 1))
  end)

  it("let NaN win, and keep it to the windows that hold it", function()
    local x = sm.rand(1, 4, 4, 3)
    local count = 0
    local values = x:totable()
    values[1][2][3][2] = 0 / 0
    local y = sm.tensor(values):maxpool2d(2)
    for _, column in ipairs(y:totable()[1]) do
      for _, pixel in ipairs(column) do
        for _, value in ipairs(pixel) do count = count + (value ~= value and 1 or 0) end
      end
    end
    assert.equal(1, count)
  end)

  it("refuse what is no window, stride or padding, and say what was given", function()
    local x = sm.randn(1, 4, 8, 1)
    for _, given in ipairs { { 2.5, "number 2.5" }, { "2", 'string "2"' }, { { 2 }, "{2}" },
      { { 2, 2, 2 }, "{2, 2, 2}" },
      { 0, "number 0" }, { -1, "number -1" }, { { 0, 2 }, "{0, 2}" }, { { 2, 1.5 }, "{2, 1.5}" },
      { { height = 2 }, "a table that is no list" }, { x, "tensor {1, 4, 8, 1}" }, { 1 << 31, "number 2147483648" } } do
      local value, shown = given[1], given[2]
      has(error_of(x.maxpool2d, x, value), "maxpool2d: expected a window, an integer of at least 1 or {height, width},"
        .. " got " .. shown)
      has(error_of(x.avgpool2d, x, 2, { stride = value }), "avgpool2d: option 'stride' must be an integer from 1 "
        .. "to 2147483647 or {height, width} of such, got " .. shown)
      if value ~= 0 then
        local least = type(value) == "table" and value[1] == 0 and { -1, 0 } or value
        has(error_of(x.maxpool2d, x, 2, { padding = least }), "maxpool2d: option 'padding' must be 'same', 'valid', an "
          .. "integer of at least 0, {height, width} or {top, left, bottom, right}, got ")
      end
      if type(value) ~= "userdata" then has(error_of(nn.maxpool2d, { value }), "nn.maxpool2d: ") end
    end
    has(error_of(x.maxpool2d, x, 2, { padding = "sam" }), "did you mean 'same'?")
    local images = "images {1, 4, 8, 1}"
    has(error_of(x.maxpool2d, x, { 3, 9 }, { padding = { 1, 0 } }), "a window of 3x9 is larger than " .. images)
    has(error_of(x.maxpool2d, x, { 2, 3 }, { padding = { 1, 3 } }), "with padding 1x3 some windows of 2x3 hold no")
    has(error_of(x.avgpool2d, x, (1 << 31) - 1), "a window of 2147483647x2147483647 is larger than images {1, 4, 8, 1}")
    has(error_of(x.maxpool2d, x, 1 << 16, { padding = "same" }), "expected a window of at most 2147483647 pixels")
  end)

  it("are layers with windows {height, width}", function()
    assert.are.same({ 4, 2, 3 }, nn.maxpool2d { { 1, 4 } }:build({ 4, 8, 3 }).output_shape)
    assert.are.same({ 2, 8, 3 }, nn.avgpool2d { { 2, 1 } }:build({ 4, 8, 3 }).output_shape)
    assert.equal("1×4", nn.maxpool2d { { 1, 4 } }:describe())
    assert.equal("2×2, stride 1×2, padding 0×1", nn.avgpool2d { 2, stride = { 1, 2 }, padding = { 0, 1 } }:describe())
    assert.equal("3×3, stride 1, padding same", nn.maxpool2d { 3, stride = 1, padding = "same" }:describe())
    assert.equal("2×3, padding 1", nn.maxpool2d { { 2, 3 }, padding = 1 }:describe())
  end)

  it("have the same bits in one pass with convolution and relu, for every window", function()
    for _, pool in ipairs { { { 1, 4 } }, { 3, stride = { 1, 2 }, padding = { 0, 1 } }, { { 20, 20 } } } do
      for _, filters in ipairs { 5, 16, 32 } do
        local model = nn.sequential { nn.conv2d { filters, kernel = 3 }, nn.relu(), nn.maxpool2d(pool) }
        model:build { 20, 20, 16 }
        local x = sm.randn(17, 20, 20, 16):requires_grad()
        local y = model(x)
        local gy = sm.randn(y.shape)
        ;(y * gy):sum():backward()
        local gx, conv = x.grad:totable(), model:layer "conv1"
        local z = x:detach():requires_grad()
        local window = { stride = pool.stride, padding = pool.padding }
        local apart = z:conv2d(conv.weight, { bias = conv.bias }):relu():maxpool2d(pool[1], window)
        ;(apart * gy):sum():backward()
        assert.are.same(apart:totable(), y:totable())
        assert.are.same(z.grad:totable(), gx)
      end
    end
  end)
end)

describe("window operations", function()
  it("refuse arguments that they do not take", function()
    local x, w = sm.randn(1, 4, 8, 1), sm.randn(3, 3, 1, 2)
    has(error_of(x.maxpool2d, x, 2, {}, true), "maxpool2d takes 2 arguments, got another argument, boolean true")
    has(error_of(x.avgpool2d, x, 2, {}, 1), "avgpool2d takes 2 arguments, got another argument, number 1")
    has(error_of(x.conv2d, x, w, {}, 2), "conv2d takes 2 arguments, got another argument, number 2")
    has(error_of(x.conv2d_transpose, sm.randn(1, 4, 8, 2), w, {}, 2), "conv2d_transpose takes 2 arguments, got another")
    has(error_of(x.linear, sm.randn(2, 3), sm.randn(3, 4), nil, true, 5),
      "linear takes 3 arguments, got another argument, number 5")
  end)

  it("give a bias a gradient of its shape, and take no other shape", function()
    local x, w = sm.randn(1, 4, 8, 1), sm.randn(3, 3, 1, 2)
    for _, shape in ipairs { { 1, 2 }, { 2, 1 }, { 3 }, {} } do
      has(error_of(x.conv2d, x, w, { bias = sm.zeros(shape) }), "conv2d: the bias must have shape {2}, got {")
    end
    has(error_of(x.conv2d, x, w, { bias = sm.zeros(2):to "int32" }), "must be a float")
    local bias = sm.zeros(2):requires_grad()
    x:conv2d(w, { bias = bias }):sum():backward()
    assert.equal("2", shape_of(bias.grad))
    assert.are.same({ 32, 32 }, bias.grad:totable())
  end)

  it("say what is wrong with sizes out of range, and take the largest strides", function()
    local most = (1 << 31) - 1
    local x, w = sm.ones(1, 4, 8, 1), sm.ones(3, 3, 1, 2)
    assert.are.same({ { { { 9, 9 } } } }, x:conv2d(w, { stride = most }):totable())
    assert.equal("1 3 3 2", shape_of(x:conv2d(w, { stride = most, padding = most })))
    assert.are.same({ { { { 1 } } } }, x:maxpool2d(1, { stride = most }):totable())
    has(error_of(x.conv2d, x, w, { padding = most }), "images {1, 4, 8, 1} and filters {3, 3, 1, 2}: ")
    has(error_of(fused.conv2d_maxpool2d, x, sm.ones(1, 1, 1, 2), { padding = most // 4 }, 2), "too many numbers")
    has(error_of(x.conv2d, x, w, { stride = most + 1 }),
      "option 'stride' must be an integer from 1 to 2147483647 or {height, width} of such, got number 2147483648")
    has(error_of(x.conv2d, x, sm.ones(9, 9, 1, 2), { padding = 1 }), "a window of 9x9 is larger than images {1, 4,")
    for _, shape in ipairs { { 0, 4, 8, 1 }, { 2, 0, 8, 1 } } do
      assert.equal(table.concat({ shape[1], shape[2], 8, 2 }, " "), shape_of(sm.zeros(shape):conv2d(w)))
    end
    assert.equal(0, sm.zeros(2, 4, 8, 0):conv2d(sm.zeros(3, 3, 0, 4)):sum():item())
  end)
end)

describe("a pixel that is no ordinary number", function()
  local kinds = { nan = 0 / 0, inf = math.huge, ["1e7"] = 1e7, ["1e36"] = 1e36 }

  local function values(x) return x:reshape(-1):totable() end

  -- x with one number replaced.
  local function with(x, position, value)
    local list = values(x)
    list[position] = value
    return sm.tensor(list):reshape(x.shape)
  end

  for name, kind in pairs(kinds) do
    it("reaches the results that see it and no others: " .. name, function()
      sm.seed(4)
      for _, kernel in ipairs { 3, 5 } do
        local x, w = sm.randn(20, 14, 14, 16), sm.randn(kernel, kernel, 16, 16)
        local spoilt = with(x, 5 * 14 * 14 * 16 + 3, kind) -- image 6, first pixel
        local before, after = x:conv2d(w), spoilt:conv2d(w)
        for image = 1, 20 do
          local rows = before[image]:totable()
          if image == 6 then
            local reach = kernel // 2 + 1
            local seen = after[image]:totable()
            for i, row in ipairs(seen) do
              for j, pixel in ipairs(row) do
                for c, value in ipairs(pixel) do
                  local off = math.abs(value - rows[i][j][c])
                  if i > reach or j > reach then assert.is_true(off < 1e-3, off)
                  elseif kind == kind and kind < 1e30 then assert.is_true(off > 1)
                  elseif kind ~= kind then assert.is_true(value ~= value) end
                end
              end
            end
          else
            assert.are.same(rows, after[image]:totable())
          end
        end
        local alone = spoilt[6]:reshape(1, 14, 14, 16):conv2d(w)
        assert.equal(table.concat(values(alone), " "), table.concat(values(after[6]), " "))
      end
    end)
  end

  it("leaves a filter's neighbours alone where it is a weight", function()
    sm.seed(5)
    local x, w = sm.randn(20, 14, 14, 16), sm.randn(5, 5, 16, 32)
    local before = x:conv2d(w)
    for _, kind in pairs(kinds) do
      local after = x:conv2d(with(w, 7, kind)) -- filter 7
      local off = (after - before):reshape(-1, 32):abs():transpose()
      for filter = 1, 32 do
        local most = off[filter]:max():item()
        if filter == 7 then assert.is_true(most ~= most or most > 1) else assert.is_true(most < 1e-3) end
      end
    end
  end)
end)

describe("layers of windows", function()
  before_each(function() sm.seed(7) end)

  it("make parameters of the right shapes, and are described", function()
    local function built(layer, shape) return layer:build(shape) end
    local conv = built(nn.conv2d { 8, kernel = { 3, 5 }, dilation = { 1, 2 }, groups = 2 }, { 9, 8, 4 })
    assert.equal("3 5 2 8", shape_of(conv.weight))
    assert.are.same({ 9, 8, 8 }, conv.output_shape)
    assert.equal("8 filters 3×5, dilation 1×2, 2 groups", conv:describe())
    local turned = built(nn.conv2d_transpose { 6, kernel = 4, stride = 2, padding = 1, groups = 2 }, { 5, 4, 8 })
    assert.equal("4 4 3 8", shape_of(turned.weight))
    assert.equal("6", shape_of(turned.bias))
    assert.are.same({ 10, 8, 6 }, turned.output_shape)
    assert.equal("6 filters 4×4, stride 2, padding 1, 2 groups", turned:describe())
    local line = built(nn.conv1d { 6, kernel = 3, stride = 2, padding = { 2, 0 }, bias = false }, { 20, 4 })
    assert.equal("3 4 6", shape_of(line.weight))
    assert.is_nil(line.bias)
    assert.are.same({ 10, 6 }, line.output_shape)
    assert.equal("6 filters 3, stride 2, padding 2×0", line:describe())
    assert.are.same({ 10, 12, 4 }, built(nn.upsample2d { factor = { 2, 3 } }, { 5, 4, 4 }).output_shape)
    assert.equal("by 2×3, nearest", nn.upsample2d { factor = { 2, 3 } }:describe())
    assert.equal("to 7×9, bilinear", nn.upsample2d { size = { 7, 9 }, mode = "bilinear" }:describe())
    assert.are.same({ 4 }, built(nn.global_avgpool(), { 5, 4, 4 }).output_shape)
    assert.are.same({ 1, 1, 4 }, built(nn.global_maxpool { keepdim = true }, { 5, 4, 4 }).output_shape)
    assert.equal("2×2, partial", nn.maxpool2d { 2, partial = true }:describe())
    assert.equal("2×2, dilation 2", nn.maxpool2d { 2, dilation = 2 }:describe())
  end)

  it("are named by kind and order", function()
    local model = nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.conv2d_transpose { 4, kernel = 2, stride = 2 },
      nn.upsample2d { factor = 2 }, nn.conv2d { 4, kernel = 3, groups = 4 }, nn.global_avgpool() }
    model:build { 4, 4, 3 }
    local names = {}
    for i, layer in ipairs(model.layers) do names[i] = layer.name end
    assert.are.same({ "conv1", "transpose1", "upsample1", "conv2", "global_avgpool1" }, names)
    assert.equal("2 4", shape_of(model(sm.randn(2, 4, 4, 3))))
  end)

  it("refuse what does not fit", function()
    has(error_of(nn.conv2d, { 3, kernel = 3, groups = 2 }), "nn.conv2d: 3 filters cannot be divided into 2 groups")
    local conv = nn.conv2d { 4, kernel = 3, groups = 2 }
    has(error_of(conv.build, conv, { 5, 5, 3 }), "3 channels cannot be divided into 2 groups")
    local line = nn.conv1d { 4, kernel = 3 }
    has(error_of(line.build, line, { 5, 5, 3 }), "it takes sequences, {batch, time, channels}")
    has(error_of(nn.conv2d, { 3, kernel = { 3 } }), "nn.conv2d: expected a window, an integer of at least 1 or {height")
    has(error_of(nn.conv2d, { 3, kernel = 3, dilation = { 0, 1 } }), "nn.conv2d: option 'dilation' must be an integer")
    has(error_of(nn.conv1d, { 3, kernel = 3, padding = { 1, 2, 3 } }), "nn.conv1d: option 'padding' must be")
    has(error_of(nn.upsample2d, {}), "nn.upsample2d: expected factor or size, got neither")
  end)
end)
