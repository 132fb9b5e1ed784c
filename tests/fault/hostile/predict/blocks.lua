-- A pipe that nobody writes into lies among a stranger's pictures. It must not be waited for.
-- command: eval sent/run --data pictures
-- expect: error "c.png"
-- setup: mkdir("pictures/1") trained("sent/run") pipe("pictures/1/c.png")
error "never run"
