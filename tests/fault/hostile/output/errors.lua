-- Writes the same to standard error, also unbuffered and in pieces. It must be made visible.
-- terminal
-- expect: contained
io.stderr:setvbuf "no"
for _, text in ipairs { "\27]0;title\7", "\27[31mred\n", "\xc2\x9b31m\n", "\27c", "\7\8\127" } do
  io.stderr:write(text)
  for i = 1, #text do io.stderr:write(text:sub(i, i)) end
end
