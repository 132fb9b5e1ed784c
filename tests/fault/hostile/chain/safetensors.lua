-- Reads safetensors files whose headers overlap, overflow or nest without end. Each must be an error.
-- options: --max-memory 300M
-- expect: contained
-- setup: local function tensors(name, header, length)
-- setup:   write("exp/" .. name, pack("<I8", length or #header) .. header .. rep("x", 64))
-- setup: end
-- setup: local f = '{"a":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}}'
-- setup: tensors("huge.safetensors", f:format("4611686018427387904,8", "0,64"))
-- setup: tensors("beyond.safetensors", f:format("16", "0,9223372036854775807"))
-- setup: tensors("negative.safetensors", f:format("-4", "64,0")) tensors("long.safetensors", "{}", 1 << 62)
-- setup: tensors("deep.safetensors", rep("[", 1000000)) tensors("wraps.safetensors", "{}", -8)
local sm = require "sm"
for _, name in ipairs { "huge", "beyond", "negative", "long", "deep", "wraps" } do
  local ok = pcall(sm.load, "exp/" .. name .. ".safetensors")
  if ok then print("BREACH: took " .. name) end
end
