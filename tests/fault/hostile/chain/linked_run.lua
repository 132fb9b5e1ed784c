-- The run that is resumed is itself a link to a directory outside, with a text that attacks. Nothing there may change.
-- command: resume runs/victim
-- expect: contained
-- setup: run("outside/run") link("runs/victim", here .. "/outside/run")
-- setup: write("outside/run/experiment.lua", "io.open('@HERE@/outside/kept.txt', 'w'):write 'x'")
error "never run"
