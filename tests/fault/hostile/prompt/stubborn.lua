-- Never comes to its prompt, and catches what stops it. One SIGTERM must be enough.
-- command: -i exp/stubborn.lua
-- sends: SIGTERM after 1
-- limit: 14
-- expect: killed
while true do pcall(function() while true do end end) end
