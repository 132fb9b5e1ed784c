--- Whether an error is one that a user may see: a text without a position inside the library, an error of Lua's own, or
--- an address. What the input itself says is not held against it: what it quotes, between its first and last mark.
local problem = require "sm.problem"

local SIGNS <const> = {
  "sm/[%w_/]+%.lua:%d+", "attempt to ", "bad argument #", "not enough memory", "stack overflow", "0x%x%x%x%x%x%x",
  "%[C%]: in ", "%(a %w+ value%)",
}

--- @param input string
--- @return string|nil what is wrong with it
return function(err, input)
  if problem.kind(err) then err = tostring(err) end
  if type(err) ~= "string" then return "an error that is a " .. type(err) end
  if #err > 4096 then return ("an error of %d bytes: %s…"):format(#err, err:sub(1, 200)) end
  err = err:gsub("^%S*tests/fuzz/%w+%.lua:%d+: ", ""):gsub("'.*'", "''"):gsub('".*"', '""')
  for _, sign in ipairs(SIGNS) do
    if err:find(sign) and not input:find(sign) then return "not for a user: " .. err end
  end
end
