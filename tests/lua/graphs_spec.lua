-- Random graphs: operations on values that are used again and again, through views and operations of one's own. Their
-- gradients are compared with differences, in the double build; and what somebody holds stays as it was, though
-- gradients are written over one another wherever nobody does.
local sm = require "sm"
local runtime = require "sm.runtime"

local rows <const>, columns <const> = 2, 16
local images <const> = { rows, 2, 2, 4 } -- the same elements as (rows, columns)

local held -- { tensor, a copy } of what the graph at hand came across first
local function hold(x)
  if #held < 30 then held[#held + 1] = { x, x:clone():detach() } end
  return x
end

local same = sm.op { name = "same", forward = function(_, x) return x end, backward = function(_, gy) return gy end }
local both = sm.op {
  name = "both",
  forward = function(_, a, b) return a + b * 2 end,
  backward = function(_, gy) hold(gy) return gy, gy * 2 end,
}

-- Operations on x, and on another value y or a weight w, all (rows, columns) but the weight (columns, columns).
local operations = {
  function(x) return x:tanh() end,
  function(x) return x:sigmoid() end,
  function(x) return x:relu() end,
  function(x) return (x:tanh()):exp() end,
  function(x) return (x:abs() + 1):log() end,
  function(x) return (x * x + 0.5) ^ 0.5 end,
  function(x) return 2 - x * 0.5 end,
  function(x) return x:clone() end,
  function(x) return same(x) end,
  function(x) return x:softmax { groups = 4, temperature = 0.5 } end,
  function(x) return x:softmax { sizes = { 3, 5, 8 }, scale = true, off = true } end,
  function(x) return x * x:sum(2):reshape(rows, 1) * 0.2 end,
  function(x) return x - x:mean(1) end,
  function(x) return x:reshape(columns, rows):transpose():reshape(rows, columns) end,
  function(x) return x:reshape(images):avgpool2d(2, { stride = 1, padding = "same" }):reshape(rows, columns) end,
  function(x) return x:reshape(images):maxpool2d(2, { stride = 1, padding = "same" }):reshape(rows, columns) end,
  function(x) return x + x[1] * x:slice(2, 2) end,
  function(x, y) return x + y end,
  function(x, y) return x - y end,
  function(x, y) return x * y end,
  function(x, y) return x / (y:abs() + 1) end,
  function(x, y) return both(x, y) end,
  function(x, _, w) return x:matmul(w) * 0.3 end,
  function(x, _, w) return x:reshape(images):conv2d(w:reshape(2, 2, 4, columns)) * 0.3 end,
}

-- A function of two values and a weight, the same at every call.
local function graph(seed)
  local draw = math.random
  return function(x, y, w)
    math.randomseed(seed)
    local values = { x, y }
    for _ = 1, draw(4, 14) do
      local one, other = values[draw(#values)], values[draw(#values)]
      local made = operations[draw(#operations)](one, other, w)
      if #made.shape == 4 then made = made:mean(2):mean(2) end
      values[#values + 1] = hold(made)
    end
    local sum = x + values[#values]:tanh()
    for _ = 1, 3 do sum = sum + values[draw(#values)]:tanh() end
    return sum
  end
end

local function check_held()
  for i, pair in ipairs(held) do
    assert.same(pair[2]:totable(), pair[1]:detach():totable(), ("value %d has changed"):format(i))
  end
end

describe("random graphs", function()
  before_each(function()
    sm.seed(7)
    held = {}
  end)

  for seed = 1, 60 do
    it(("number %d"):format(seed), function()
      local f = graph(seed)
      local x, y = sm.randn(rows, columns), sm.randn(rows, columns)
      local w = sm.randn(columns, columns)
      x:requires_grad()
      w:requires_grad()
      f(x, y, w):sum():backward()
      check_held()
      if runtime.real == "float64" then sm.gradcheck(f, { x, y, w }, { tolerance = 1e-4 }) end
    end)
  end
end)
