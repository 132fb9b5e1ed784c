-- Finalizers bring canvases back after their pictures are gone, and draw on them. It must be an error or a picture.
-- expect: contained
local sm = require "sm"
local kept = {}
for _ = 1, 200 do
  setmetatable({ c = sm.view.canvas(64, 64) }, { __gc = function(t) kept[#kept + 1] = t.c end })
end
collectgarbage()
collectgarbage()
for _, canvas in ipairs(kept) do
  pcall(canvas.line, canvas, { 0, 0, 64, 64 })
  pcall(canvas.text, canvas, 1, 1, "back")
  pcall(canvas.image, canvas, 0, 0, sm.ones(8, 8))
end
