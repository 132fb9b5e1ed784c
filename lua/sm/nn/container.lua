--- Containers: layers one after the other, beside each other, and the residual block x + f(x).
local check = require "sm.check"
local fail = require "sm.fail"
local fuse = require "sm.nn.fuse"
local layer = require "sm.nn.layer"
local shapes = require "sm.shapes"
local same_shape = require "sm.runtime".tensor.same_shape
local use = require "sm.nn.use"

local M = {}

local cat
for _, operation in ipairs(require "sm.ops.parts") do
  if operation.name == "cat" then cat = operation.f end
end

-- Splits what a container was given into its options and the array of its layers.
local function split(where, given)
  local options, layers, last = {}, {}, 0
  for key, value in check.each(where, given) do
    if math.type(key) == "integer" and key > 0 then
      layers[key] = value
      last = math.max(last, key)
    else
      options[key] = value
    end
  end
  if last == 0 then fail("%s needs at least one layer", where) end
  for position = 1, last do
    if not layer.is(layers[position]) then
      fail("%s: argument %d must be a layer, got %s%s", where, position, check.describe(layers[position]),
        type(layers[position]) == "function" and "; a kind of layer is called, as in nn.relu(), and a function of "
        .. "tensors becomes a layer by nn.fn(f)" or "")
    end
  end
  return options, layers
end

local is_layer, done_next, attempt <const> = layer.is, fuse.at, use.attempt

-- Sends inputs through the layers in a row from position i to the last.
local function chain(self, i, last, watched, ...)
  if i > last then return ... end
  local doing = self.layers[i]
  if not is_layer(doing) then
    use.fail(self, table.pack(...), "its layers were changed: layer %d is %s", i, check.describe(doing))
  end
  if not watched and select("#", ...) == 1 then
    local count, at_once
    count, doing, at_once = done_next(self.layers, i, last, (...))
    if at_once then return chain(self, i + count, last, watched, attempt(doing, at_once, (...))) end
  end
  return chain(self, i + 1, last, watched, doing:apply(...))
end

--- Layers one after the other: nn.sequential { layer, … }. The first gets the inputs, each further one what the one
--- before it gave.
M.sequential = layer.define("sequential", {
  role = "sequence",
  container = split,
  row = function(self) return #self.layers end,
  forward = function(self, ...) return chain(self, 1, #self.layers, use.pass(self) ~= nil, ...) end,
})

-- Raises unless tensors that are to be added up have equal shapes.
local function check_equal(self, inputs, a, b, format)
  if same_shape(a, b) then return end
  use.fail(self, inputs, format, shapes.text(a.shape), shapes.text(b.shape))
end

--- A residual block, y = x + f(x), where f is the layers one after the other: nn.residual { layer, … }.
--- f must keep the shape, unless a layer brings x to that of f(x): y = shortcut(x) + f(x).
--- He et al. 2016, arxiv.org/abs/1512.03385.
M.residual = layer.define("residual", {
  role = "residual",
  options = { shortcut = { type = "table", doc = "a layer that brings x to the shape of f(x)" } },
  container = function(where, given)
    local options, layers = split(where, given)
    local shortcut, keys = options.shortcut, {}
    if shortcut ~= nil then
      if not layer.is(shortcut) then
        fail("%s: option 'shortcut' must be a layer, got %s", where, check.describe(shortcut))
      end
      layers[#layers + 1] = shortcut
      keys[#layers] = shortcut.options.name or "shortcut"
    end
    return options, layers, keys
  end,
  row = function(self) return #self.layers - (self.options.shortcut and 1 or 0) end,
  forward = function(self, x) return self:joined(x, false) end,

  -- The sum; relu: and relu of it, which must be done by the last layer of f, and so nobody looks on.
  joined = function(self, x, relu)
    local shortcut, last, watched = self.options.shortcut, self:row(), use.pass(self) ~= nil
    local norm = not watched and self:ends_in_norm()
    local y = chain(self, 1, norm and last - 1 or last, watched, x)
    local beside = shortcut and shortcut:apply(x) or x
    check_equal(self, table.pack(x), beside, y, shortcut
      and "shortcut(x) + f(x) needs equal shapes, but they are %s and %s"
      or "x + f(x) needs equal shapes, but f turned %s into %s")
    if norm and norm:takes_more(y) then
      return use.attempt(norm, norm.with, y, beside, relu)
    elseif norm then
      y = norm:apply(y)
    end
    return relu and (beside + y):relu() or beside + y
  end,

  -- The batchnorm that is the last layer of f, if it is one and trains.
  ends_in_norm = function(self)
    local norm = self.layers[self:row()]
    return type(norm) == "table" and norm.constructor == "nn.batchnorm" and norm.training and norm or nil
  end,
  describe = function(self) return self.options.shortcut and "shortcut(x) + f(x)" or "x + f(x)" end,
})

-- What each layer of a container gives for the same inputs.
local function each(self, ...)
  local outputs = {}
  for position, inner in ipairs(self.layers) do outputs[position] = inner:apply(...) end
  return outputs
end

--- nn.concat { layer, … }: each layer gets the same input, and what they give is joined on the last axis.
M.concat = layer.define("concat", {
  role = "branches",
  container = split,
  forward = function(self, ...)
    local ok, y = pcall(cat, each(self, ...), -1)
    if not ok then use.explain(self, table.pack(...), y) end
    return y
  end,
  describe = function() return "on the last axis" end,
})

--- nn.add { layer, … }: each layer gets the same input, and what they give, of one shape, is added up.
M.add = layer.define("add", {
  role = "branches",
  container = split,
  forward = function(self, ...)
    local outputs = each(self, ...)
    local sum = outputs[1]
    for position = 2, #outputs do
      check_equal(self, table.pack(...), sum, outputs[position], "a sum needs equal shapes, but they are %s and %s")
      sum = sum + outputs[position]
    end
    return sum
  end,
})

--- nn.branch { mean = layer, deviation = layer }: each layer gets the same input, and what they give is a table by
--- these names. `name`, if it is a text, names the container itself.
M.branch = layer.define("branch", {
  role = "branches",
  container = function(where, given)
    local options, layers, names = {}, {}, {}
    for key, value in check.each(where, given) do
      if key == "name" and not layer.is(value) then
        options.name = value
      elseif type(key) ~= "string" or not layer.is(value) then
        fail("%s takes layers by name, as in %s { mean = layer, deviation = layer }, got %s at '%s'", where, where,
          layer.is(value) and "a layer" or check.describe(value), check.word(key))
      else
        layer.check_name(where, key)
        names[#names + 1] = key
      end
    end
    if #names == 0 then fail("%s needs at least one layer", where) end
    table.sort(names)
    for position, name in ipairs(names) do layers[position] = given[name] end
    return options, layers, names
  end,
  forward = function(self, ...)
    local outputs = {}
    for position, inner in ipairs(self.layers) do outputs[self.keys[position]] = inner:apply(...) end
    return outputs
  end,
})

return M
