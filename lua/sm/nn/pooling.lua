--- Pooling of images {N, height, width, channels}, each channel by itself.
local check = require "sm.check"
local layer = require "sm.nn.layer"
local text = require "sm.text"
local windows = require "sm.windows"

-- Over all locations of each channel, {N, …, channels} → {N, channels}. Option keepdim: their axes stay (false).
local function global(name)
  return layer.define(name, {
    role = "pooling",
    options = { keepdim = { type = "boolean", default = false, doc = "whether the axes stay, with size 1" } },
    setup = function(self) self.taken = { keepdim = self.options.keepdim } end,
    forward = function(self, x) return x[name](x, self.taken) end,
  })
end

local KERNEL <const> = { type = { "integer", "table" }, required = true, min = 1,
  doc = "how large a window is, or {height, width}" }

local function pooling(kind, short, forward)
  return layer.define(kind, {
    short = short,
    role = "pooling",
    options = check.with(windows.OPTIONS[kind], { KERNEL }),

    setup = function(self, where)
      local taken = check.taken(self.options, windows.OPTIONS[kind])
      self.kernel, self.window = windows.pool(kind, where, self.options[1], taken)
    end,

    forward = forward,

    describe = function(self)
      local kernel, window = self.kernel, self.window
      local stride, padding = text.short_sizes(window.stride), window.padding
      stride = stride ~= text.short_sizes(kernel) and ", stride " .. stride or ""
      if type(padding) == "table" then padding = text.short_sizes(padding) end
      padding = padding ~= "valid" and ", padding " .. padding or ""
      local dilation = text.short_sizes(window.dilation)
      dilation = dilation ~= "1" and ", dilation " .. dilation or ""
      return text.sizes(kernel) .. stride .. dilation .. padding .. (window.partial and ", partial" or "")
    end,
  })
end

return {
  --- nn.maxpool2d { 2 }, nn.maxpool2d { { 1, 4 } }: the largest value of each window.
  maxpool2d = pooling("maxpool2d", "maxpool", function(self, x) return x:maxpool2d(self.kernel, self.window) end),
  --- nn.avgpool2d { 2 }: the mean of each window.
  avgpool2d = pooling("avgpool2d", "avgpool", function(self, x) return x:avgpool2d(self.kernel, self.window) end),
  --- nn.global_maxpool(), nn.global_avgpool(): the largest value and the mean of each channel.
  global_maxpool = global "global_maxpool",
  global_avgpool = global "global_avgpool",
}
