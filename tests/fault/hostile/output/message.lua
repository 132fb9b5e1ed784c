-- Fails with an error message, a chunk name and a traceback that terminals obey. They must be made visible.
-- terminal
-- expect: error "smrun:"
local f = load("error '\\27]0;title\\7\\27[31mred'", "@\27[31mred.lua")
local _, message = pcall(f)
warn("@on", "\27[31mred")
warn "\27[31mred\27c\7"
error(setmetatable({}, { __tostring = function() return "\27[31mred" .. tostring(message) end }))
