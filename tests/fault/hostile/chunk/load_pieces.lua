-- Hands a compiled chunk to load in pieces, of which the first are empty or one byte long. It must be refused.
-- expect: contained
-- setup: write("exp/chunk.bin", dump(load "print 'BREACH: a compiled chunk ran'"))
local file <close> = assert(io.open "exp/chunk.bin")
local bytes = file:read "a"
for _, mode in ipairs { "b", "bt" } do
  local at = 0
  local ok, f = pcall(load, function()
    at = at + 1
    return bytes:sub(at, at) ~= "" and bytes:sub(at, at) or nil
  end, "=x", mode)
  if ok and f then f() end
end
