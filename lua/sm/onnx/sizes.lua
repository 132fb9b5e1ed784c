--- Sizes that may depend on that of the batch: an integer, or {times=, plus=}, which is times · N + plus.
-- @module sm.onnx.sizes
local M = {}

local Size = {}

--- The size that is so large for batches of so many examples; nil where it is no multiple of them and a number.
-- @param values what it is
-- @param counts how many examples there are: three numbers, since two lie on a line also of a square
function M.of(values, counts)
  local a, b, n, m = values[1], values[2], counts[1], counts[2]
  if math.type(a) ~= "integer" or math.type(b) ~= "integer" or (b - a) % (m - n) ~= 0 then return nil end
  local times = (b - a) // (m - n)
  local plus = a - times * n
  if values[3] ~= times * counts[3] + plus then return nil end
  return times == 0 and a or setmetatable({ times = times, plus = plus }, Size)
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
