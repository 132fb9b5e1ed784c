-- A run that is exported to where a file lies already, and to where a link leads. Neither may be written.
-- command: export sent/run --out outside/kept.npz
-- expect: usage "is there already"
-- setup: trained("sent/run") link("outside/kept.npz", here .. "/outside/kept.txt")
error "never run"
