-- Makes a file of a petabyte with a hole in it, and a checkpoint beside it. It must be an error or harmless.
-- options: --max-disk 50M --max-time 10
-- expect: contained
local file = io.open("sparse.bin", "w")
if file then
  pcall(function()
    file:seek("set", 1 << 50)
    file:write "x"
  end)
  pcall(file.close, file)
end
