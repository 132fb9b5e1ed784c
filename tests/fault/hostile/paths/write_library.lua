-- Has the library write outside: tensors, tables, pictures, canvases, views. All must fail.
-- expect: contained
-- setup: link("exp/out.npz", here .. "/outside/kept.txt") link("exp/out.png", here .. "/outside/kept.txt")
local sm = require "sm"
local x = sm.ones(4, 4)
for _, path in ipairs { "@HERE@/outside/new", "../outside/new", "outside/new", "exp/out", "@HERE@/exp/new", "exp/new",
  "../../outside/new", "/tmp/@TOKEN@-canary", "@HERE@/outside/kept.txt\0" } do
  for _, kind in ipairs { ".npy", ".npz", ".safetensors", ".csv" } do pcall(sm.save, path .. kind, { x = x }) end
  pcall(sm.save, path .. ".npy", x)
  pcall(sm.png.save, path .. ".png", x)
  pcall(function() sm.view.canvas(8, 8):save(path .. ".png") end)
  pcall(function() sm.view.image(x):save(path .. ".png") end)
end
