-- A run that a stranger sent has a link in place of its summary, and another of its parameters. None may be followed.
-- command: eval runs/victim/default
-- expect: contained
-- setup: run("runs/victim/default")
-- setup: for _, name in ipairs { "summary.json", "params.json", "environment.json" } do
-- setup:   remove("runs/victim/default/" .. name) link("runs/victim/default/" .. name, here .. "/outside/secret.txt")
-- setup: end
error "never run"
