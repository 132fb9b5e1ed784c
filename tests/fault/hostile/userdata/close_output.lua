-- Closes standard output and error, sets their buffers, seeks in them. What smrun says must still be said.
-- expect: error "the end of it"
for _, file in ipairs { io.stdout, io.stderr } do
  pcall(file.setvbuf, file, "full", 1 << 30)
  pcall(file.seek, file, "set", 0)
  pcall(file.close, file)
end
pcall(io.output, "@HERE@/outside/kept.txt")
pcall(io.close)
error "the end of it"
