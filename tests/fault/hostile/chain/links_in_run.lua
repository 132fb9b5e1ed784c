-- A run that a stranger sent has links in place of its directories and files. Nothing outside may be read or changed.
-- command: resume runs/victim/default
-- expect: contained
-- setup: run("runs/victim/default") remove("runs/victim/default/summary.json")
-- setup: for _, name in ipairs { "checkpoints", "metrics.csv", "report.html", "plots", "log.txt" } do
-- setup:   pcall(remove, "runs/victim/default/" .. name)
-- setup:   link("runs/victim/default/" .. name, here .. (name:find "%." and "/outside/kept.txt" or "/outside"))
-- setup: end
error "never run"
