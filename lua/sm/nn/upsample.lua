--- Images in another size.
local fail = require "sm.fail"
local layer = require "sm.nn.layer"

local M = {}

--- nn.upsample2d { factor = 2 }: y {N, height * factor, width * factor, channels}.
M.upsample2d = layer.define("upsample2d", {
  short = "upsample",
  options = {
    factor = { type = { "number", "table" }, above = 0, doc = "how many times as large, or {down, across}" },
    size = { type = "table", doc = "or the result's {height, width}" },
    mode = { type = "string", choices = { "nearest", "bilinear" }, default = "nearest",
      doc = "what is between pixels" },
    align_corners = { type = "boolean", default = false,
      doc = "whether bilinear interpolation puts corners on corners" },
  },

  setup = function(self, where)
    local o = self.options
    if (o.factor == nil) == (o.size == nil) then
      fail("%s: expected factor or size, got %s", where, o.size and "both" or "neither")
    end
    self.taken = { factor = o.factor, size = o.size, mode = o.mode, align_corners = o.align_corners }
  end,

  forward = function(self, x) return x:upsample2d(self.taken) end,

  describe = function(self)
    local o = self.options
    local list, sign = o.factor or o.size, o.factor and "by %s, %s" or "to %s, %s"
    local text = type(list) == "table" and ("%g×%g"):format(list[1], list[2]) or ("%g"):format(list)
    return sign:format(text, o.mode)
  end,
})

return M
