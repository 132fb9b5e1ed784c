-- Loads a compiled chunk whose bytes are changed at random, 20000 times, which would crash Lua. All must be refused.
-- expect: contained
-- setup: write("exp/chunk.bin", dump(load "local a, b = 1, {} for i = 1, 3 do b[i] = a .. i end return b, ..."))
local file <close> = assert(io.open "exp/chunk.bin")
local bytes = file:read "a"
for _ = 1, 20000 do
  local at = math.random(30, #bytes)
  local text = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
  local ok, f = pcall(load, text, "=x", "b")
  if ok and f then
    print "BREACH: a forged chunk was loaded"
    break
  end
end
