-- Repeats a string beyond every memory. It must be a plain error.
-- options: --max-memory 300M
-- expect: error "memory"
local text = ("x"):rep(1 << 20)
text = text:rep(1200)
for _ = 1, 3 do text = text .. text end
print("BREACH: has a string of " .. #text)
