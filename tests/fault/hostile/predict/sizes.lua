-- A checkpoint that says its pictures are of two thousand million pixels a side. It must end in an error.
-- options: --max-memory 300M
-- command: predict sent/model.safetensors p.png --resize
-- expect: contained
-- setup: mkdir("sent") trained("sent/run") picture("p.png")
-- setup: checkpoint("sent/run/checkpoints/step-000003.safetensors", "sent/model.safetensors", [==[
-- setup: words.about = words.about:gsub('"shape": %[%s*4,%s*4', '"shape": [2147483647, 2147483647')]==])
error "never run"
