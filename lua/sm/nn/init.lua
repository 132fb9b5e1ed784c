--- Networks: layers, containers and initialisers. What every layer can do is described in sm.nn.layer.
local check = require "sm.check"

local layers = { layer = require "sm.nn.own", init = require "sm.nn.initialise" }

for _, family in ipairs {
  require "sm.nn.container", require "sm.nn.linear", require "sm.nn.conv", require "sm.nn.pooling",
  require "sm.nn.upsample", require "sm.nn.activation", require "sm.nn.groups", require "sm.nn.normalise",
  require "sm.nn.embedding", require "sm.nn.recurrent", require "sm.nn.attention", (require "sm.nn.plain"),
} do
  for name, constructor in pairs(family) do layers[name] = constructor end
end

return check.closed(layers, "sm.nn", "layers, and init")
