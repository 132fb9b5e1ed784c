-- Writes files without end, up to half a gigabyte. The limit on the disk must end it.
-- options: --max-disk 50M --max-time 20
-- limit: 15
-- expect: killed
local text = ("x"):rep(1 << 20)
for i = 1, 500 do
  local file = assert(io.open("big" .. i // 100 .. ".bin", "a"))
  file:write(text)
  file:close()
end
print "BREACH: more on disk than the limit"
