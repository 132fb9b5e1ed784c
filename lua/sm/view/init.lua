--- Views: pictures of what a network learned. `sm.view.filters "conv1"`.
--
-- A view has a `name`, after which its files are called; `view:check(model)`, which raises when the view cannot be
-- drawn of this model; and `view:draw(model, path, moment)`, which writes a PNG. A moment says what the picture
-- shows: {step=, validation_accuracy= (a fraction, or nil), title= (or nil)}.
-- @module sm.view
local check = require "sm.check"
local fail = require "sm.fail"

local M = {
  filters = require "sm.view.filters",
}

return setmetatable(M, {
  __index = function(_, name)
    local names = {}
    for known in pairs(M) do names[#names + 1] = known end
    table.sort(names)
    fail("sm.view has no '%s'%s (views: %s)", name, check.suggest(tostring(name), names), table.concat(names, ", "))
  end,
})
