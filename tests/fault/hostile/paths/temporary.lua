-- Asks for temporary files: os.tmpname, io.tmpfile, the directory of the system. None may come to be outside.
-- expect: contained
local ok, name = pcall(os.tmpname)
if ok and name and pcall(function() return io.open(name):read "a" end) then
  print("BREACH: made " .. name)
  os.remove(name)
end
pcall(function()
  local file = io.tmpfile()
  file:write "x"
  file:close()
end)
