--- smrun data NAME…
local catalogue = require "sm.data.catalogue"
local check = require "sm.check"
local fetch = require "sm.data.fetch"
local sorted_keys = require "sm.ordered".sorted_keys
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local function check_name(name)
  if catalogue[name] then return end
  local known = sorted_keys(catalogue)
  usage.fail("no data set '%s' to fetch (there are %s)%s", name, table.concat(known, ", "),
    check.suggest(name, known))
end

--- Fetches each data set and verifies it.
--- @return integer exit code
function M.data(options)
  for _, name in ipairs(options.words) do check_name(name) end
  local say = options.quiet and function() end or text.print
  for _, name in ipairs(options.words) do fetch.get(name, say) end
  return 0
end

return M
