--- Finalizers that do harm wherever a collection lets them.
local M = {}

--- Calls act() in every collection from now on, until the function that this returns is called.
function M.at_collections(act)
  local on = true
  local function renew()
    setmetatable({}, { __gc = function()
      if not on then return end
      renew()
      act()
    end })
  end
  renew()
  return function() on = false end
end

--- Calls call() until collections within it have run act() several times. The first allocation in it collects.
-- @param prepare function called before each
-- @return table outcome → how often: what call() returned, as text, or the message of its error
function M.attack(prepare, act, call)
  local inside, hits, outcomes = false, 0, {}
  local stop = M.at_collections(function()
    if not inside then return end
    hits = hits + 1
    act()
  end)
  for _ = 1, 1000 do
    collectgarbage "stop"
    prepare()
    local before = hits
    inside = true
    collectgarbage "restart" -- with nothing left to allocate before the next collection
    local ok, result = pcall(call)
    inside = false
    if hits > before then
      local outcome = ok and tostring(result) or result:gsub("^[^\n]-:%d+: ", "")
      outcomes[outcome] = (outcomes[outcome] or 0) + 1
    end
    if hits >= 5 then break end
  end
  stop()
  if hits < 5 then error("no collection came while the call was under way", 2) end
  return outcomes
end

return M
