std = "lua54"
max_line_length = 120
files["tests/lua"] = { std = "lua54+busted" }
exclude_files = { "build" }
files["tests/fault/hostile"] = { ignore = { "12.", "14.", "[2-5].." } } -- they replace and waste what they can
