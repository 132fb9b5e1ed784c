-- Calls pcall in an endless loop, which swallows the error of an interruption. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
while true do pcall(function() while true do end end) end
