--- Layers without parameters of their own: flatten, reshape, dropout, and any function of the user's.
local fail = require "sm.fail"
local layer = require "sm.nn.layer"
local shape_text = require "sm.text".shape
local traced = require "sm.ops.traced".made

local M = {}

--- nn.flatten(): {N, …} becomes {N, features}; shares the storage.
M.flatten = layer.define("flatten", {
  role = "shape",
  forward = function(_, x)
    local shape, features = x.shape, 1
    for axis = 2, #shape do features = features * shape[axis] end
    return x:reshape(shape[1], features)
  end,
})

local SIZES <const> = { { type = "integer", required = true, min = -1, doc = "the first size after the batch" } }
for axis = 2, 7 do SIZES[axis] = { type = "integer", min = -1, doc = "the next size, if there is one" } end

--- nn.reshape { 7, 7, 64 }: each example gets this shape, {N, 7, 7, 64}; one size may be -1, what is left. Shares the
--- storage.
M.reshape = layer.define("reshape", {
  role = "shape",
  options = SIZES,

  setup = function(self, where)
    local options, count = self.options, 0
    self.sizes = {}
    for axis = 1, #SIZES do
      local size = options[axis]
      if size == 0 then fail("%s: size %d must be at least 1, or -1, got 0", where, axis) end
      if size == -1 and self.free then fail("%s: only one size can be -1", where) end
      if size == -1 then self.free = axis end
      if size and count < axis - 1 then fail("%s: size %d is missing", where, count + 1) end
      if size then count, self.sizes[axis] = axis, size end
    end
  end,

  forward = function(self, x)
    local shape, sizes, each, given = x.shape, table.move(self.sizes, 1, #self.sizes, 1, {}), 1, 1
    for axis = 2, #shape do each = each * shape[axis] end
    if self.free then
      for _, size in ipairs(sizes) do given = given * (size > 0 and size or 1) end
      sizes[self.free] = each // given -- also for a batch of none
    end
    return x:reshape(shape[1], table.unpack(sizes))
  end,

  describe = function(self) return "to " .. shape_text(self.sizes, "N") end,
})

--- nn.identity(): gives its input, or its inputs, as they are; where a network has a place for a layer and needs none.
M.identity = layer.define("identity", {
  role = "shape",
  forward = function(_, ...) return ... end,
})

--- nn.dropout { 0.5 }: in training each value is 0 with this probability, else divided by what is kept.
M.dropout = layer.define("dropout", {
  role = "noise",
  options = { { type = "real", required = true, min = 0, below = 1, doc = "the probability of 0" } },
  forward = function(self, x)
    if not self.training then return x end
    return x:dropout(self.options[1])
  end,
  describe = function(self) return ("drops %g%%"):format(100 * self.options[1]) end,
})

--- nn.fn(f): any differentiable function of tensors as a layer, y = f(x, training), or f(x, …, training) of several
--- inputs. nn.fn { f, name = "swish" }. One of sm.pointwise takes what it names, and is not told whether it trains.
M.fn = layer.define("fn", {
  own_line = true,
  computing = "the function",
  options = { { type = "function", required = true, doc = "f(x, training) → y" } },
  forward = function(self, ...)
    if traced[self.options[1]] then return self.options[1](...) end
    if select("#", ...) == 1 then return self.options[1]((...), self.training) end
    local inputs = table.pack(...)
    inputs[inputs.n + 1] = self.training
    return self.options[1](table.unpack(inputs, 1, inputs.n + 1))
  end,
})

return M
