--- PNG pictures as tensors, read and written.
-- @module sm.png
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local reach = require "sm.reach"

local M = {}

--- Raises unless a path is a string.
local function check_path(where, path)
  if type(path) ~= "string" then fail("%s: the path must be a string, got %s", where, check.describe(path)) end
  return path
end

M.CHANNELS = { type = "integer", min = 1, max = 4,
  doc = "1 (grey), 3 (RGB) or 4 (RGB and alpha) to convert to; by default as the file has it" }

--- Raises where the option `channels` is one that no picture is converted to.
-- @return the option
function M.check_channels(where, channels)
  if channels == 2 then fail("%s: option 'channels' must be 1, 3 or 4, got 2", where) end
  return channels
end

local LOAD_OPTIONS <const> = check.spec("png.load", { channels = M.CHANNELS })

--- png.load(path, { channels = 3 }): the picture in a PNG file, {height, width, channels}: uint8; of 16 bits a
-- channel real from 0 to 1. Channels are 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha), as the file has
-- them; a palette becomes its colours. Colours become grey by the weights 0.299, 0.587 and 0.114 of ITU-R BT.601.
-- Gamma and colour profiles are left alone.
function M.load(path, options)
  local channels = check.options("png.load", options, LOAD_OPTIONS).channels
  return runtime.io.read_png(reach.to_read(check_path("png.load", path)), M.check_channels("png.load", channels))
end

--- png.save(path, x): writes x {height, width} or {height, width, 1 to 4} as a PNG picture of 8 bits a channel:
-- uint8 as it is, real from 0 to 1 as the nearest of 256 steps. As by sm.save, a crash leaves the old file or the new
-- one.
function M.save(path, x)
  check_path("png.save", path)
  if not runtime.tensor.is_tensor(x) then
    fail("png.save: %s: a picture is a tensor {height, width} or {height, width, channels}, got %s", path,
      check.describe(x))
  end
  runtime.io.write_png(reach.to_write(path), x)
end

M.public = check.closed({ load = M.load, save = M.save }, "sm.png", "functions")

return M
