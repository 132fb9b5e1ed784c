-- Loads a compiled chunk as a string, in every mode. It must be refused, whatever the mode.
-- expect: contained
-- setup: write("exp/chunk.bin", dump(load "print 'BREACH: a compiled chunk ran'"))
local file <close> = assert(io.open "exp/chunk.bin")
local bytes = file:read "a"
for _, mode in ipairs { "b", "bt", "tb", "t" } do
  local ok, f = pcall(load, bytes, "=x", mode)
  if ok and f then f() end
end
local ok, f = pcall(load, bytes)
if ok and f then f() end
