--- Pooling of images {N, height, width, channels}, each channel by itself.
local layer = require "sm.nn.layer"

-- Options of both, beside the height and width of the window:
--   stride   (the window's size, so that windows touch)
--   padding  "valid" (none), "same", or pixels on each side; padding never takes part ("valid")
local function pooling(kind, short, method)
  return layer.define(kind, {
    short = short,
    options = {
      { type = "integer", required = true, min = 1 },
      stride = { type = "integer", min = 1 },
      padding = { type = { "integer", "string" }, min = 0, choices = { "same", "valid" }, default = "valid" },
    },

    setup = function(self)
      local options = self.options
      self.window = { stride = options.stride or options[1], padding = options.padding }
    end,

    forward = function(self, x, relu) return x[method](x, self.options[1], self.window, relu) end,

    describe = function(self)
      local size, window = self.options[1], self.window
      local stride = window.stride ~= size and (", stride %d"):format(window.stride) or ""
      local padding = window.padding ~= "valid" and (", padding %s"):format(window.padding) or ""
      return ("%d×%d%s%s"):format(size, size, stride, padding)
    end,
  })
end

return {
  --- nn.maxpool2d { 2 }: the largest value of each window.
  maxpool2d = pooling("maxpool2d", "maxpool", "maxpool2d"),
  --- nn.avgpool2d { 2 }: the mean of each window.
  avgpool2d = pooling("avgpool2d", "avgpool", "avgpool2d"),
}
