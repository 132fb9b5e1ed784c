-- The same with eval, and an endless loop.
-- options: --max-time 3
-- command: eval runs/victim/default
-- expect: killed
-- setup: run("runs/victim/default", [[
-- setup: pcall(os.execute, "touch '@HERE@/outside/new.txt'")
-- setup: pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
-- setup: while true do end]])
error "never run"
