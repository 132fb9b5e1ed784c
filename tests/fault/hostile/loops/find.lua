-- Stays in string.find for ever, where no hook of Lua runs. The limit must end it.
-- options: --max-time 3
-- expect: killed
print(("x"):rep(300000):find(("x-"):rep(9) .. "y"))
