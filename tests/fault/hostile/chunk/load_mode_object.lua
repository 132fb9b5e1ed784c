-- Gives load a mode that is no plain word: a number, a table that reads as "b". No compiled chunk may run.
-- expect: contained
-- setup: write("exp/chunk.bin", dump(load "print 'BREACH: a compiled chunk ran'"))
local file <close> = assert(io.open "exp/chunk.bin")
local bytes = file:read "a"
for _, mode in ipairs { 1, true, setmetatable({}, { __tostring = function() return "b" end, __index = string }) } do
  local ok, f = pcall(load, bytes, "=x", mode)
  if ok and f then f() end
end
