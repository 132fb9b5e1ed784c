-- Takes blocks of all sizes and frees every second one, so that holes remain. It must stay within its memory.
-- options: --max-memory 300M --max-time 20
-- expect: contained
local sm = require "sm"
for size = 8, 20 do
  local t = {}
  pcall(function()
    for i = 1, (1 << 28) >> (size + 2) do
      t[i] = sm.zeros((1 << size) + i % 7)
      if i % 2 == 0 then t[i - 1] = nil end
      if i > 3000 then break end
    end
  end)
end
