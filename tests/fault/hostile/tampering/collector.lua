-- Stops the collector, changes its mode and its steps. What tensors need must stay.
-- options: --max-memory 300M
-- expect: contained
local sm = require "sm"
for _, words in ipairs { { "stop" }, { "incremental", 1000, 1, 1 }, { "setpause", 100000 }, { "generational", 100,
  1000 },
  { "setstepmul", 0 }, { "stop" } } do
  pcall(collectgarbage, table.unpack(words))
end
for _ = 1, 3000 do sm.ones(1000, 250):sum() end
