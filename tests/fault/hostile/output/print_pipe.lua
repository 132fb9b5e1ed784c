-- The same into a pipe, which may end in a terminal. It must be made visible.
-- expect: contained
for _, text in ipairs { "\27]0;title\7", "\27[31mred", "\xc2\x9b31m", "\27[2J\27[H", "\7\8\127",
  "\27c" } do print(text) end
