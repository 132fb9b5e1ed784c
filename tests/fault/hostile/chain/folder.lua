-- Reads a folder of pictures in which directories and pictures are links to what lies outside. None may be read.
-- expect: contained
-- setup: mkdir("exp/train/a") link("exp/train/b", here .. "/outside") link("exp/train/a/x.png",
-- setup:   here .. "/outside/secret.txt")
-- setup: link("exp/train/c", "/etc") link("exp/train/d", "..")
local sm = require "sm"
for _, path in ipairs { "exp/train", "@HERE@/outside", "@HERE@/home", "/etc", "exp/train/b", "exp/train/d" } do
  local ok, message = pcall(sm.data.folder, { train = path })
  print(ok, ok and "" or message)
end
