-- Writes into a file that it has removed, which no listing shows. The limit on the disk must end it.
-- options: --max-disk 50M --max-time 20
-- limit: 15
-- expect: killed
local file = assert(io.open("gone.bin", "w"))
os.remove "gone.bin"
local text = ("x"):rep(1 << 20)
for _ = 1, 500 do
  if not file:write(text) then break end
end
print "BREACH: more on disk than the limit"
