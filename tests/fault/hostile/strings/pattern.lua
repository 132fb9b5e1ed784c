-- Matches a pattern that takes exponential time. It must be stopped at the limit.
-- options: --max-time 3
-- expect: killed
local text = ("a"):rep(60)
print(text:find(("a?"):rep(60) .. ("a-"):rep(12) .. "b$"))
print(("x"):rep(200000):find(("x-"):rep(8) .. "y"))
for _ = 1, 1000 do text:rep(5000):find(("a*"):rep(20) .. "b") end
