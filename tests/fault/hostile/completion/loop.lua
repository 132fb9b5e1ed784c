-- Never comes to its parameters, prints without end, and takes memory. Two seconds must end it.
-- command: --complete zsh 'smrun exp/loop.lua ' ''
-- limit: 3
-- expect: ok
local sm = require "sm"
local all = {}
while true do pcall(function()
  while true do print(("x"):rep(1000)) all[#all + 1] = ("x"):rep(100000) .. #all end
end) end
sm.params { x = 1 }
