-- Has the library read files outside: tables, texts, pictures, tensors. Neither they nor messages may show a byte.
-- expect: contained
-- setup: link("exp/link.csv", here .. "/outside/secret.txt")
local sm = require "sm"
for _, path in ipairs { "@HERE@/outside/secret.txt", "outside/secret.txt", "exp/link.csv",
  "@HERE@/home/.ssh/id_secret" } do
  for _, f in ipairs {
    function() return sm.data.text { file = path, length = 2 }.vocabulary end,
    function() return sm.data.csv { file = path, target = "x" } end, function() return sm.load(path) end,
    function() return sm.png.load(path) end, function() return sm.data.npy { inputs = path, targets = path } end,
    function() return sm.data.idx { images = path, labels = path } end,
    function() return sm.data.csv { file = path, target = 1, header = false } end,
  } do
    local ok, got = pcall(f)
    if ok then print("BREACH: read " .. path) end
    print(type(got) == "string" and got or "")
    if type(got) == "table" then for _, word in pairs(got) do io.write(tostring(word)) end end
  end
end
