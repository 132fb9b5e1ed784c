-- The same pictures, beneath a class, for eval --data. Nothing outside may be read, and none of them may block.
-- command: eval sent/run --data pictures
-- expect: contained
-- setup: mkdir("pictures/1") mkdir("pictures/0") trained("sent/run") pipe("pictures/1/c.png")
-- setup: picture("outside/secret.png") link("pictures/0/a.png", here .. "/outside/secret.png")
-- setup: link("pictures/0/b.png", "/dev/zero") link("pictures/2", here .. "/outside")
error "never run"
