-- Recurses through the callbacks of gsub, sort, load and tostring. It must be a plain error.
-- expect: contained
local function f(s) return (s:gsub(".", f)) end
pcall(f, "ab")
local function g() table.sort({ 3, 2, 1 }, g) end
pcall(g)
local function h() return load(h) end
pcall(h)
local t = setmetatable({}, { __tostring = function(x) return tostring(x) end })
pcall(tostring, t)
pcall(print, t)
