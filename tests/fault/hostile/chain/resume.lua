-- A run that a stranger sent is resumed: its text attacks while it is loaded. It must be confined as a script is.
-- command: resume runs/victim/default
-- expect: contained
-- setup: run("runs/victim/default", [[
-- setup: pcall(os.execute, "touch '@HERE@/outside/new.txt'")
-- setup: pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
-- setup: pcall(function() io.open("@HERE@/outside/kept.txt", "w"):write "x" end)
-- setup: pcall(os.remove, "@HERE@/runs/other/default/summary.json")
-- setup: os.exit(0)]])
error "never run"
