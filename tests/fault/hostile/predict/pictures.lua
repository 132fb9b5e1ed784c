-- A directory of pictures that a stranger sent has links to secrets, a pipe and a device.
-- Nothing outside may be read, and none of them may block.
-- options: --max-memory 300M
-- command: predict sent/run pictures --resize --grey
-- expect: contained
-- setup: mkdir("sent/pictures") mkdir("pictures") trained("sent/run")
-- setup: picture("outside/secret.png") link("pictures/a.png", here .. "/outside/secret.png")
-- setup: link("pictures/b.png", "/dev/zero") pipe("pictures/c.png")
-- setup: link("pictures/d.png", "/etc/passwd") link("pictures/e.png", "e.png") mkdir("pictures/f.png")
error "never run"
