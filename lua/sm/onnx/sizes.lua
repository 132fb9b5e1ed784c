--- Sizes that may depend on that of the batch: an integer, or {times=, plus=}, which is times · N + plus.
-- @module sm.onnx.sizes
local M = {}

local Size = {}

--- The size that is a for a batch of n examples, and b for one of m; nil where none is both.
function M.of(a, n, b, m)
  if a == b then return a end
  if math.type(a) ~= "integer" or math.type(b) ~= "integer" or (b - a) % (m - n) ~= 0 then return nil end
  local times = (b - a) // (m - n)
  return setmetatable({ times = times, plus = a - times * n }, Size)
end

--- Whether it depends on the batch.
function M.varies(size) return getmetatable(size) == Size end

--- Whether a list of sizes has one that depends on the batch.
function M.any(list)
  for _, size in ipairs(list) do
    if M.varies(size) then return true end
  end
  return false
end

local function plus(size, number) return setmetatable({ times = size.times, plus = size.plus + number }, Size) end

function Size.__add(a, b) return M.varies(a) and plus(a, b) or plus(b, a) end
function Size.__sub(a, b) return plus(a, -b) end

--- As a dimension of a graph: an integer, "N" for the batch, nil for what has no name.
function M.dimension(size)
  if not M.varies(size) then return size end
  return size.times == 1 and size.plus == 0 and "N" or nil
end

--- A shape as users read it: "{N, 28, 28, 1}".
function M.text(shape)
  local words = {}
  for axis, size in ipairs(shape) do words[axis] = tostring(M.dimension(size) or "?") end
  return "{" .. table.concat(words, ", ") .. "}"
end

return M
