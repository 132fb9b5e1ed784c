--- Activations: softmax over groups of channels, and functions of one element.
local check = require "sm.check"
local fail = require "sm.fail"
local layer = require "sm.nn.layer"

local M = {}

--- nn.softmax { groups = 4 }: a softmax over each group of channels (the last axis), at each location.
---   groups       number of equal groups (1 unless sizes are given)
---   sizes        or the channels of each group: {16, 16, 32}
---   temperature  divides the logits (1)
---   scale        multiplies by the group's size, so that the mean activation is 1 (false)
---   off          gives every group an implicit option with logit 0, "none of these" (false)
M.softmax = layer.define("softmax", {
  role = "grouping",
  options = {
    groups = { type = "integer", min = 1 },
    sizes = { type = "table" },
    temperature = { type = "real", default = 1, above = 0 },
    scale = { type = "boolean", default = false },
    off = { type = "boolean", default = false },
  },

  setup = function(self, where)
    local options = self.options
    if options.groups and options.sizes then fail("%s takes groups or sizes, got both", where) end
    if options.sizes then options.sizes = check.sizes(where, options.sizes) end
    self.grouping = {
      groups = not options.sizes and (options.groups or 1) or nil,
      sizes = options.sizes,
      temperature = options.temperature,
      scale = options.scale,
      off = options.off,
    }
  end,

  forward = function(self, x) return x:softmax(self.grouping) end,

  --- The sizes of the groups of so many channels, an array.
  sizes = function(self, channels)
    local grouping, sizes = self.grouping, {}
    if grouping.sizes then return table.move(grouping.sizes, 1, #grouping.sizes, 1, sizes) end
    if channels % grouping.groups ~= 0 then
      fail("%d channels cannot be divided into %d equal groups", channels, grouping.groups)
    end
    for group = 1, grouping.groups do sizes[group] = channels // grouping.groups end
    return sizes
  end,

  describe = function(self)
    local grouping, words = self.grouping, {}
    if grouping.sizes then
      words[1] = "groups of " .. table.concat(grouping.sizes, ", ")
    else
      words[1] = grouping.groups == 1 and "1 group" or grouping.groups .. " groups"
      local channels = self.output_shape and self.output_shape[#self.output_shape]
      if channels then words[1] = words[1] .. " of " .. channels // grouping.groups end
    end
    if grouping.temperature ~= 1 then words[#words + 1] = ("temperature %g"):format(grouping.temperature) end
    if grouping.scale then words[#words + 1] = "scaled" end
    if grouping.off then words[#words + 1] = "with off" end
    return table.concat(words, ", ")
  end,
})

--- nn.relu(), nn.sigmoid(), nn.tanh(), nn.softplus(): functions of one element. softplus is log(1 + exp x).
M.relu = layer.define("relu", { role = "activation", forward = function(_, x) return x:relu() end })
M.sigmoid = layer.define("sigmoid", { role = "activation", forward = function(_, x) return x:sigmoid() end })
M.tanh = layer.define("tanh", { role = "activation", forward = function(_, x) return x:tanh() end })
M.softplus = layer.define("softplus", { role = "activation", forward = function(_, x) return x:softplus() end })

return M
