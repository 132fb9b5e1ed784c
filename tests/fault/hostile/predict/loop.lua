-- A checkpoint whose text never ends, whatever one throws at it. The limit of time must end it.
-- options: --max-time 3
-- command: predict sent/model.safetensors p.png
-- expect: killed
-- setup: mkdir("sent") trained("sent/run") picture("p.png")
-- setup: checkpoint("sent/run/checkpoints/step-000003.safetensors", "sent/model.safetensors", [==[
-- setup: words.source = "while true do pcall(function() while true do end end) end"]==])
error "never run"
