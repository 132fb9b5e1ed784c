-- Doubles a string until memory ends, in pcall, and goes on. It must stay within its memory.
-- options: --max-memory 300M
-- expect: contained
local text = "x"
for _ = 1, 31 do
  local ok, longer = pcall(function() return text .. text end)
  if ok then text = longer end
end
if #text > 1 << 29 then print("BREACH: has a string of " .. #text) end
