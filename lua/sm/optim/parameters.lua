--- Which tensors an optimizer moves: checked, taken into a group, and found where a model has made them meanwhile.
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local runtime = require "sm.runtime"

local M = {}

local is_tensor = runtime.tensor.is_tensor

--- Checks that a parameter can be added. One of a model may want no gradient: it was frozen, and nothing moves it.
--- @param self table the optimizer
--- @param of_model string|boolean|nil where the model's parameters were added, or true while they are
function M.check(self, name, value, of_model)
  local where = type(of_model) == "string" and " (added at " .. of_model .. ")" or ""
  if not is_tensor(value) then
    fail("opt:add: '%s' must be a tensor, got %s", check.word(name), check.describe(value))
  elseif type(name) ~= "string" then
    fail("opt:add takes a table of named tensors; %s is not a name", check.describe(name))
  elseif value.dtype ~= runtime.real then
    fail("opt:add: '%s' is of %s; only a %s tensor can be trained", name, value.dtype, runtime.real)
  elseif value:tracks() and not autograd.is_leaf(value) then
    fail("opt:add: '%s' was computed from other tensors, and gradients stay with those, not with it; add what it was "
      .. "computed from, or mark the result: (sm.randn(3) * 0.1):requires_grad()", name)
  elseif not value:tracks() and not of_model then
    fail("opt:add: '%s' wants no gradient, so that nothing would move it; mark it with x:requires_grad(), or leave it "
      .. "out", name)
  elseif self.by_tensor[value] then
    fail("opt:add: '%s' was added before, as '%s'%s", name, self.by_tensor[value].name, where)
  elseif self.by_name[name] then
    fail("opt:add: there is another parameter named '%s' already%s", name, where)
  end
end

--- Takes one parameter into a group, or into the first of its parts whose pattern its name matches. Its state tensors
--- are made when it is first moved.
function M.take(self, group, name, value)
  for _, part in ipairs(group.parts) do
    if name:find(part.pattern) then
      group = part
      break
    end
  end
  local entry = { name = name, tensor = value, state = nil, last = 0 } -- last: the step that last moved it
  self.by_tensor[value], self.by_name[name] = entry, entry
  group.entries[#group.entries + 1], group.tensors[#group.tensors + 1] = entry, value
end

--- A model's map grows when the model is built: takes in what has come since the last look.
function M.adopt(self)
  for _, group in ipairs(self.groups) do
    local source = group.source
    if source and #source > group.seen then
      local position = 0
      for name, value in pairs(source) do
        position = position + 1
        if position > group.seen then
          M.check(self, name, value, group.where)
          M.take(self, group, name, value)
          group.seen = position
        end
      end
    end
  end
end

return M
