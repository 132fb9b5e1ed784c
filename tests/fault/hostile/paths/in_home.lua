-- Lies in the person's home itself, all of which would be the experiment's directory. Nothing of it may be read.
-- command: home/attack.lua
-- expect: contained
-- setup: write("home/attack.lua", [[
-- setup: for _, path in ipairs { "@HERE@/home/.ssh/id_secret", "home/.ssh/id_secret", ".ssh/id_secret" } do
-- setup:   local ok, text = pcall(function() return io.open(path):read "a" end)
-- setup:   if ok then print("BREACH: " .. path, text) end
-- setup: end]])
error "never run"
