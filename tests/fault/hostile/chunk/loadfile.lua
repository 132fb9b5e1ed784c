-- Loads a compiled file with loadfile and dofile. It must be refused.
-- expect: contained
-- setup: write("exp/chunk.bin", dump(load "print 'BREACH: a compiled file ran'"))
for _, path in ipairs { "exp/chunk.bin", "@HERE@/exp/chunk.bin", "chunk.bin" } do
  local ok, f = pcall(function() return loadfile(path, "b") or loadfile(path) end)
  if ok and f then f() end
  pcall(function() dofile(path) end)
end
