-- Hides the end of a path behind a zero byte, slashes, and a length of megabytes. All must fail.
-- expect: contained
local sm = require "sm"
for _, path in ipairs { "@HERE@/outside/secret.txt\0.npy", "exp/\0/../../outside/secret.txt",
  ("/"):rep(100000) .. "@HERE@/outside/secret.txt", ("./"):rep(2000) .. "outside/secret.txt" } do
  for _, f in ipairs { function() return io.open(path):read "a" end, function() return sm.load(path) end,
    function() return sm.data.text { file = path, length = 2 }.vocabulary end } do
    local ok, text = pcall(f)
    if ok and text then print("BREACH: a path of " .. #path, text) end
  end
end
