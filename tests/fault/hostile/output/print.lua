-- Prints what terminals obey: titles, colours, 8-bit controls, cursor moves, a bell. It must be made visible.
-- terminal
-- expect: contained
for _, text in ipairs { "\27]0;title\7", "\27[31mred", "\xc2\x9b31m", "\27[2J\27[H", "\27[1A\27[2K", "\7\8\127", "\27c",
  "\27P$q\27\\", "\27[?1049h" } do
  print(text, setmetatable({}, { __tostring = function() return text end }))
end
