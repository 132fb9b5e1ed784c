-- Writes into files that it has removed, which no listing shows. The limit on the disk must end it.
-- options: --max-disk 50M --max-time 20
-- limit: 15
-- expect: killed
local text, files = ("x"):rep(1 << 20), {}
for i = 1, 12 do
  local name = ("gone%d.bin"):format(i)
  files[i] = assert(io.open(name, "w"))
  for _ = 1, 40 do assert(files[i]:write(text)) end
  files[i]:flush()
  os.remove(name)
  os.remove("runs/unlinked/" .. name)
end
for _ = 1, 5e8 do end
print "BREACH: more on disk than the limit"
