-- Makes files without end, up to thirty thousand. The limit on their number must end it.
-- options: --max-files 1000 --max-time 20
-- limit: 15
-- expect: killed
for i = 1, 30000 do
  local file = assert(io.open(("small%d.txt"):format(i), "w"))
  file:close()
end
for _ = 1, 1e9 do end
print "BREACH: more files than the limit"
