--- What the functions of a person's experiment are told of the moment they are called in: their last argument, `at`.
local check = require "sm.check"
local fail = require "sm.fail"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

--- @param now table of
---   step       of the step that is being made, 1 for the first; in an evaluation, of the steps that are done
---   training   whether a step is being made
---   model, optimizer, data  as they were declared
---   row, rows  of metrics.csv: that of this step, and all until now, where a view is drawn
---   What is a function there is called when it is asked for.
--- @return table that reads `now`, and refuses other names and every change: no checkpoint would keep it
function M.of(now)
  return setmetatable({}, {
    __metatable = false,
    __index = function(_, key)
      local value = now[key]
      if type(value) == "function" then
        value = value()
        now[key] = value
      end
      if value ~= nil then return value end
      local names, word = sorted_keys(now), check.word(key)
      local hint = check.suggest(word, names)
      fail("`at` has no '%s'%s", word, hint ~= "" and hint or (" (it has %s)"):format(table.concat(names, ", ")))
    end,
    __newindex = function(_, key)
      fail("at.%s cannot be set: `at` belongs to the run, and no checkpoint would keep it; what is to be kept is a "
        .. "buffer of a layer, self:make_buffer(name, tensor)", check.word(key))
    end,
    __pairs = function() return check.pairs(now) end,
    __tostring = function() return ("at step %d, %s"):format(now.step, now.training and "training" or "evaluating") end,
  })
end

return M
