-- Saves to the same file from a metamethod of the table that is being saved. No half file may remain.
-- expect: contained
local sm = require "sm"
local inner = { x = sm.ones(4) }
local sly = setmetatable({}, { __pairs = function()
  pcall(sm.save, "same.npz", inner)
  return next, inner, nil
end })
pcall(sm.save, "same.npz", sly)
pcall(sm.save, "same.safetensors", sly)
