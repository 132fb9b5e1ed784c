--- Images in another size.
local check = require "sm.check"
local layer = require "sm.nn.layer"
local windows = require "sm.windows"

local M = {}

local OPTIONS <const> = windows.OPTIONS.upsample2d

--- nn.upsample2d { factor = 2 }: y {N, height * factor, width * factor, channels}.
M.upsample2d = layer.define("upsample2d", {
  short = "upsample",
  options = check.with(OPTIONS),
  setup = function(self, where) self.taken = windows.upsample2d(check.taken(self.options, OPTIONS), where) end,
  forward = function(self, x) return x:upsample2d(self.taken) end,

  describe = function(self)
    local o = self.options
    local list, sign = o.factor or o.size, o.factor and "by %s, %s" or "to %s, %s"
    local text = type(list) == "table" and ("%g×%g"):format(list[1], list[2]) or ("%g"):format(list)
    return sign:format(text, o.mode)
  end,
})

return M
