--- Pooling of images {N, height, width, channels}, each channel by itself.
local layer = require "sm.nn.layer"
local windows = require "sm.windows"

-- "2×3" for {2, 3}.
local function sizes(pair) return ("%d×%d"):format(pair[1], pair[2]) end

-- One number for equal ones: "2", "2×3".
local function short_sizes(pair) return pair[1] == pair[2] and ("%d"):format(pair[1]) or sizes(pair) end

-- Options of both, beside the window, a number or {height, width}:
--   stride   (the window's own size, so that windows touch)
--   padding  "valid" (none), "same", or pixels on each side; padding never takes part ("valid")
-- Stride and pixels may be {height, width}, too.
local function pooling(kind, short, forward)
  return layer.define(kind, {
    short = short,
    role = "pooling",
    options = {
      { type = { "integer", "table" }, required = true, min = 1 },
      stride = { type = { "integer", "table" }, min = 1 },
      padding = { type = { "integer", "string", "table" }, min = 0, choices = { "same", "valid" } },
    },

    setup = function(self, where)
      local options = self.options
      self.kernel, self.window = windows.pool(where, options[1], { stride = options.stride, padding = options.padding })
    end,

    forward = forward,

    describe = function(self)
      local kernel, window = self.kernel, self.window
      local stride, padding = short_sizes(window.stride), window.padding
      stride = stride ~= short_sizes(kernel) and ", stride " .. stride or ""
      if type(padding) == "table" then padding = short_sizes(padding) end
      padding = padding ~= "valid" and ", padding " .. padding or ""
      return sizes(kernel) .. stride .. padding
    end,
  })
end

return {
  --- nn.maxpool2d { 2 }, nn.maxpool2d { { 1, 4 } }: the largest value of each window.
  maxpool2d = pooling("maxpool2d", "maxpool", function(self, x) return x:maxpool2d(self.kernel, self.window) end),
  --- nn.avgpool2d { 2 }: the mean of each window.
  avgpool2d = pooling("avgpool2d", "avgpool", function(self, x) return x:avgpool2d(self.kernel, self.window) end),
}
