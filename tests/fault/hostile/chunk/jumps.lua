-- Writes the bytes of a chunk by hand, with a jump out of its code, and hands them to load. It must be refused.
-- expect: contained
local head = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8" .. string.pack("<jn", 0x5678, 370.5)
local body = "\1\x80\x80\x80\0\1\2\x81" .. string.pack("<I4", 0x7fffff38) .. "\x80\x80\x80\x80\x80\x80\x80"
local ok, f = pcall(load, head .. body, "=x", "b")
if ok and f then
  print "BREACH: a forged chunk was loaded"
  pcall(f)
end
