--- What records of operations with several operands share: references and samples that broadcast.
-- @module sm.ops.broadcast
local M = {}

--- For references: f of operands that broadcast; numbers are such.
function M.reference(new, f, ...)
  local given, shape = { ... }, {}
  for _, x in ipairs(given) do
    local own = type(x) == "table" and x.shape or {}
    while #shape < #own do table.insert(shape, 1, 1) end
    for i = 0, #own - 1 do
      if own[#own - i] ~= 1 then shape[#shape - i] = own[#own - i] end
    end
  end
  return new(shape, function(p)
    local values = {}
    for k, x in ipairs(given) do
      if type(x) == "table" then
        local from = {}
        for i, size in ipairs(x.shape) do from[i] = size == 1 and 1 or p[#p - #x.shape + i] end
        values[k] = x:at(from)
      else
        values[k] = x
      end
    end
    return f(table.unpack(values))
  end)
end

--- Samples of two operands.
function M.pairs_of(s)
  return { { s.real(2, 3), s.real(2, 3) }, { s.real(2, 3), 0.5 }, { s.real(3, 1), s.real(1, 4) },
    { s.real(4), s.real() },
    { s.real(0, 3), s.real(3) }, { s.real(), s.real() }, { s.real(2, 1, 3), s.real(4, 1) } }
end

return M
