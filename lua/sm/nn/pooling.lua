--- Pooling of images {N, height, width, channels}, each channel by itself.
local layer = require "sm.nn.layer"
local windows = require "sm.windows"

local WORDS <const> = windows.WORDS

-- "2×3" for {2, 3}.
local function sizes(list) return table.concat(list, "×") end

-- One number for equal ones: "2", "2×3".
local function short_sizes(list)
  for _, size in ipairs(list) do
    if size ~= list[1] then return sizes(list) end
  end
  return ("%d"):format(list[1])
end

-- Over all locations of each channel, {N, …, channels} → {N, channels}. Option keepdim: their axes stay (false).
local function global(name)
  return layer.define(name, {
    role = "pooling",
    options = { keepdim = { type = "boolean", default = false, doc = "whether the axes stay, with size 1" } },
    setup = function(self) self.taken = { keepdim = self.options.keepdim } end,
    forward = function(self, x) return x[name](x, self.taken) end,
  })
end

local TAKEN <const> = { "stride", "padding", "dilation", "partial", "count_padding" }

local function pooling(kind, short, forward)
  return layer.define(kind, {
    short = short,
    role = "pooling",
    options = {
      { type = { "integer", "table" }, required = true, min = 1, doc = "how large a window is, or {height, width}" },
      stride = { type = { "integer", "table" }, min = 1,
        doc = WORDS.stride .. "; by default the window's size, so that windows touch" },
      padding = { type = { "integer", "string", "table" }, min = 0, choices = { "same", "valid" },
        doc = WORDS.padding .. "; \"valid\" by default" },
      dilation = { type = { "integer", "table" }, min = 1, doc = WORDS.dilation .. "; 1 by default" },
      partial = { type = "boolean", doc = WORDS.partial },
      count_padding = kind == "avgpool2d" and { type = "boolean", doc = WORDS.count_padding } or nil,
    },

    setup = function(self, where)
      local options, taken = self.options, {}
      for _, key in ipairs(TAKEN) do taken[key] = options[key] end
      self.kernel, self.window = windows.pool(kind, where, options[1], taken)
    end,

    forward = forward,

    describe = function(self)
      local kernel, window = self.kernel, self.window
      local stride, padding = short_sizes(window.stride), window.padding
      stride = stride ~= short_sizes(kernel) and ", stride " .. stride or ""
      if type(padding) == "table" then padding = short_sizes(padding) end
      padding = padding ~= "valid" and ", padding " .. padding or ""
      local dilation = short_sizes(window.dilation)
      dilation = dilation ~= "1" and ", dilation " .. dilation or ""
      return sizes(kernel) .. stride .. dilation .. padding .. (window.partial and ", partial" or "")
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
