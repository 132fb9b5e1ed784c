-- Reads tables with endless cells, quotes and escapes for the terminal, whose words come in messages. Errors, made
-- visible.
-- options: --max-memory 300M
-- expect: contained
-- setup: write("exp/escape.csv", "a,\27[31mred\7,c\n1,2,3\n\27]0;title\7,2,3\n") write("exp/wide.csv", rep("a,",
-- setup:   200000) .. "\n")
-- setup: write("exp/quote.csv", 'a,b\n"' .. rep("x", 3000000)) write("exp/nul.csv", "a,b\n1\0002,3\n")
local sm = require "sm"
for _, name in ipairs { "escape", "wide", "quote", "nul" } do
  local ok, message = pcall(sm.data.csv, { file = "exp/" .. name .. ".csv", target = "b" })
  print(ok, ok and "" or message:sub(1, 200))
  ok, message = pcall(sm.data.csv, { file = "exp/" .. name .. ".csv", target = "\27[31mred\7" })
  print(ok, ok and "" or message:sub(1, 200))
end
