-- Stays in a function of C that takes for ever, where no hook runs. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
while true do
  pcall(function() return ("x"):rep(300000):find(("x-"):rep(9) .. "y") end)
end
