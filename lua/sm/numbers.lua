--- Numbers as people read them.
local M = {}

--- 12345 → "12,345".
--- @param number integer
function M.thousands(number)
  local grouped = ("%d"):format(number):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (grouped:gsub("^(-?),", "%1"))
end

return M
