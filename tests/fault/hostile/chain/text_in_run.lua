-- A run that a stranger sent has a link to a secret as its text, and as a module. Messages must not show a byte of it.
-- command: eval runs/victim/default
-- expect: contained
-- setup: run("runs/victim/default") remove("runs/victim/default/experiment.lua")
-- setup: link("runs/victim/default/experiment.lua", here .. "/outside/secret.txt")
-- setup: mkdir("runs/victim/default/modules") link("runs/victim/default/modules/m.lua", here .. "/outside/secret.txt")
error "never run"
