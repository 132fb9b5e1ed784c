-- Reads files outside by their absolute paths, with io.open, io.lines, io.input, dofile and loadfile. All must fail.
-- expect: contained
for _, path in ipairs { "@HERE@/outside/secret.txt", "@HERE@/home/.ssh/id_secret", "@HERE@/outside/secret.lua" } do
  local ok, text = pcall(function() return io.open(path):read "a" end)
  if ok then print("BREACH: io.open", text) end
  ok, text = pcall(function() return io.lines(path)() end)
  if ok then print("BREACH: io.lines", text) end
  ok, text = pcall(function() io.input(path) return io.read "a" end)
  if ok then print("BREACH: io.input", text) end
  ok, text = pcall(dofile, path)
  if ok or tostring(text):find "cr3t" then print("BREACH: dofile", text) end
  ok, text = pcall(loadfile, path)
  if ok and text then print("BREACH: loadfile", text()) end
end
