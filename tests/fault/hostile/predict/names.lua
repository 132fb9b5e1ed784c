-- Classes, data sets and pictures whose names are what terminals obey, and formulas. They must be made visible.
-- terminal
-- command: predict sent/model.safetensors --csv - "$(printf 'odd\033[31m.png')" p.png
-- expect: contained
-- setup: mkdir("sent") trained("sent/run") picture("p.png") picture("odd\27[31m.png")
-- setup: checkpoint("sent/run/checkpoints/step-000003.safetensors", "sent/model.safetensors", [==[
-- setup: words.about = words.about:gsub('"classes": 3', '"classes": 3, "class_names": ["\\u001b[31mred", "\\u009b31m",'
-- setup:   .. ' "=cmd|1"]')
-- setup: words.about = words.about:gsub('"name": "tensors"', '"name": "\\u001b]0;title\\u0007"')]==])
error "never run"
