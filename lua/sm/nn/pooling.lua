--- Pooling of images {N, height, width, channels} and sequences {N, time, channels}, each channel by itself.
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

local LENGTH <const> = { type = "integer", required = true, min = 1, doc = "how many steps a window has" }

local function pooling(kind, short, forward)
  local steps <const> = kind:find "1d" ~= nil
  local function axes(list) return text.short_sizes(steps and { list[2], list[4] } or list) end
  return layer.define(kind, {
    short = short,
    role = "pooling",
    options = check.with(windows.OPTIONS[kind], { steps and LENGTH or KERNEL }),

    setup = function(self, where)
      local taken = check.taken(self.options, windows.OPTIONS[kind])
      local checked = steps and windows.pool1d or windows.pool
      self.kernel, self.window = checked(kind, where, self.options[1], taken)
    end,

    forward = forward,

    describe = function(self)
      local kernel, window = self.kernel, self.window
      local stride, padding = axes(window.stride), window.padding
      stride = stride ~= axes(kernel) and ", stride " .. stride or ""
      if type(padding) == "table" then padding = axes(padding) end
      padding = padding ~= "valid" and ", padding " .. padding or ""
      local dilation = axes(window.dilation)
      dilation = dilation ~= "1" and ", dilation " .. dilation or ""
      return text.sizes(steps and { kernel[2] } or kernel) .. stride .. dilation .. padding
        .. (window.partial and ", partial" or "")
    end,
  })
end

return {
  --- nn.maxpool2d { 2 }, nn.maxpool2d { { 1, 4 } }: the largest value of each window.
  maxpool2d = pooling("maxpool2d", "maxpool", function(self, x) return x:maxpool2d(self.kernel, self.window) end),
  --- nn.avgpool2d { 2 }: the mean of each window.
  avgpool2d = pooling("avgpool2d", "avgpool", function(self, x) return x:avgpool2d(self.kernel, self.window) end),
  --- nn.maxpool1d { 2 }: the largest value of each window over sequences.
  maxpool1d = pooling("maxpool1d", "maxpool", function(self, x) return x:maxpool1d(self.kernel, self.window) end),
  --- nn.avgpool1d { 2 }: the mean of each window over sequences.
  avgpool1d = pooling("avgpool1d", "avgpool", function(self, x) return x:avgpool1d(self.kernel, self.window) end),
  --- nn.global_maxpool(), nn.global_avgpool(): the largest value and the mean of each channel.
  global_maxpool = global "global_maxpool",
  global_avgpool = global "global_avgpool",
}
