-- Writes the same with io.write, io.stdout and io.output, whole and byte by byte. It must be made visible.
-- terminal
-- expect: contained
for _, text in ipairs { "\27]0;title\7", "\27[31mred\n", "\xc2\x9b31m\n", "\27c", "\7\8\127" } do
  io.write(text)
  io.stdout:write(text)
  pcall(function() io.output():write(text) end)
  for i = 1, #text do
    io.write(text:sub(i, i))
    io.stdout:flush()
  end
end
