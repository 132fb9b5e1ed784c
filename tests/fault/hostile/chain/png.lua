-- Reads pictures that claim gigapixels, end early, or have chunks that lie. Each must be an error.
-- options: --max-memory 300M
-- expect: contained
-- setup: local head = "\137PNG\r\n\26\n"
-- setup: local function picture(name, width, height, depth, kind)
-- setup:   write("exp/" .. name, head .. pack(">I4", 13) .. "IHDR" .. pack(">I4I4BBBBB", width, height, depth, kind,
-- setup:   0, 0, 0)
-- setup:     .. "\0\0\0\0" .. pack(">I4", 0x7fffffff) .. "IDAT" .. rep("x", 100))
-- setup: end
-- setup: picture("huge.png", 0x7fffffff, 0x7fffffff, 16, 6) picture("wide.png", 0x7fffffff, 1, 8, 2)
-- setup: picture("none.png", 0, 0, 8, 2) picture("depth.png", 8, 8, 255, 255) write("exp/empty.png", head)
local sm = require "sm"
for _, name in ipairs { "huge", "wide", "none", "depth", "empty" } do
  if pcall(sm.png.load, "exp/" .. name .. ".png") then print("BREACH: took " .. name) end
end
