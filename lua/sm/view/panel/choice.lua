--- Which groups, channels and classes a sheet has room for. All where they fit; else some, and it is said.
-- @module sm.view.panel.choice
local words = require "sm.view.words"

local M = {}

--- The numbers 1 … count, or `limit` of them at even distances.
function M.evenly(count, limit)
  local chosen = {}
  for i = 1, math.min(count, limit) do
    chosen[i] = count <= limit and i or 1 + math.floor((i - 1) * (count - 1) / (limit - 1) + 0.5)
  end
  return chosen
end

--- The most frequent options of a group, in the order of their channels.
-- @param group see sm.view.consequence
function M.frequent(group, limit)
  local options = {}
  for option = 1, group.count do options[option] = option end
  if group.count <= limit then return options end
  table.sort(options, function(a, b)
    if group.share[a] ~= group.share[b] then return group.share[a] > group.share[b] end
    return a < b
  end)
  options = table.move(options, 1, limit, 1, {})
  table.sort(options)
  return options
end

--- A sentence that says what is left out, or "".
-- @param shown, count how many of how many
-- @param what "group"
function M.note(shown, count, what)
  return shown < count and (" Shown: %d of %s."):format(shown, words.count(count, what)) or ""
end

return M
