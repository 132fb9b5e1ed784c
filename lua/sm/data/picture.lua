--- A picture of the user's own, as a network wants it: the size, the channels and the range of its examples. What is
-- done to it is said, and nothing is done that loses something unless it was asked for.
-- @module sm.data.picture
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local png = require "sm.png"
local split = require "sm.data.split"
local tensor = require "sm.tensor"

local M = {}

local MOST_WEIGHTS <const> = 8000000 -- of a resize along one axis
local GREY <const> = { 0.299, 0.587, 0.114 } -- ITU-R BT.601, as png.load has them
local CHANNELS <const> = { "grey", "grey and alpha", "colour", "colour and alpha" }

local function channel_words(count)
  return CHANNELS[count] or ("%d channels"):format(count)
end

--- What pictures a data set wants.
-- @param described of sm.data.stand_in
-- @return {height=, width=, channels=, shape=, top= (what white is in a batch), kind=, brightness=, words=}; nil where
--   it wants none
-- @return string|nil why
function M.wanted(described)
  local one = described.inputs[1]
  if #described.inputs ~= 1 or one.name then return nil, "its inputs have names, and a picture is one tensor" end
  local height, width, channels = table.unpack(one.shape)
  if one.kind == "indices" or #one.shape < 2 or #one.shape > 3 then
    return nil, ("its inputs are %s {%s}"):format(one.kind, table.concat(one.shape, ", "))
  end
  channels = channels or 1
  local top, range
  if one.kind == "pixels" then top, range = 1, "bytes as 0 to 1"
  elseif one.bytes then top, range = 255, "bytes as 0 to 255"
  elseif described.made_by == "folder" then top, range = 1, "from 0 to 1" end
  if not top then
    return nil, "its inputs are numbers that the experiment made itself, and how a picture becomes those is its own"
  end
  return {
    height = height, width = width, channels = channels, shape = one.shape, top = top, kind = one.kind,
    brightness = described.brightness,
    words = ("%d × %d, %s, %s"):format(width, height, channel_words(channels), range),
  }
end

--- The numbers of a picture {height, width, channels} as a batch has them: white is `top`.
local function numbers_of(picture, wanted)
  if picture.dtype ~= "uint8" then return picture * wanted.top end -- 16 bits a channel: from 0 to 1
  local kind = wanted.top == 1 and "pixels" or "numbers"
  return split.new(picture:unsqueeze(1), tensor.tensor({ 0 }, "int32"), kind):batches(1)()[1]
end

local function same(a, b)
  return (a - b):abs():max():item() == 0
end

--- Takes alpha away where it says nothing.
local function without_alpha(path, x, wanted)
  local channels = x.shape[3]
  if channels == wanted.channels or channels % 2 == 1 then return x end
  if x:narrow(3, channels, 1):min():item() < wanted.top then
    fail("%s: it has transparent pixels, and what lies behind them is not known; save it without transparency", path)
  end
  return x:narrow(3, 1, channels - 1)
end

--- The channels that are wanted.
local function with_channels(path, x, wanted, options, done)
  x = without_alpha(path, x, wanted)
  local channels = x.shape[3]
  if channels == wanted.channels then return x end
  if channels == 3 and wanted.channels == 1 then
    local red = x:narrow(3, 1, 1)
    if same(red, x:narrow(3, 2, 1)) and same(red, x:narrow(3, 3, 1)) then return red end
    if not options.grey then
      fail("%s: expected a grey picture, got one in colour; --grey makes it grey", path)
    end
    done[#done + 1] = "made grey"
    return (x * tensor.tensor(GREY)):sum(3, { keepdim = true })
  elseif channels == 1 and wanted.channels == 3 then
    done[#done + 1] = "grey as three equal colours"
    return x:expand { x.shape[1], x.shape[2], 3 }
  end
  fail("%s: expected a picture of %s, got %s", path, channel_words(wanted.channels), channel_words(channels))
end

--- The weights {to, from} that make `to` points of `from`: means of what each covers, or, for more points, straight
-- lines between the middles of pixels.
local function weights(path, from, to)
  if from * to > MOST_WEIGHTS then fail("%s: a side of %d pixels is too long to resize", path, from) end
  local rows, step = {}, from / to
  for i = 0, to - 1 do
    local row = {}
    for j = 1, from do row[j] = 0.0 end
    if step > 1 then
      local first, last = i * step, math.min((i + 1) * step, from)
      for j = math.floor(first), math.min(math.ceil(last), from) - 1 do
        row[j + 1] = math.max(0, math.min(j + 1, last) - math.max(j, first)) / (last - first)
      end
    else
      local at = math.max(0, math.min(from - 1, (i + 0.5) * step - 0.5))
      local low = math.floor(at)
      local high = math.min(low + 1, from - 1)
      row[low + 1] = row[low + 1] + 1 - (at - low)
      row[high + 1] = row[high + 1] + at - low
    end
    rows[i + 1] = row
  end
  return tensor.tensor(rows)
end

local function resized(path, x, wanted, options, done)
  local height, width, channels = table.unpack(x.shape)
  if height == wanted.height and width == wanted.width then return x end
  if not options.resize then
    fail("%s: expected %d × %d pixels, got %d × %d (width × height); --resize makes it fit", path, wanted.width,
      wanted.height, width, height)
  elseif height == 0 or width == 0 then
    fail("%s: it has no pixels", path)
  end
  if height ~= wanted.height then
    x = weights(path, height, wanted.height):matmul(x:reshape(height, width * channels))
      :reshape(wanted.height, width, channels)
  end
  if width ~= wanted.width then
    x = weights(path, width, wanted.width):matmul(x:permute(2, 1, 3):reshape(width, wanted.height * channels))
      :reshape(wanted.width, wanted.height, channels):permute(2, 1, 3)
  end
  done[#done + 1] = ("resized from %d × %d%s"):format(width, height, width * wanted.height ~= height * wanted.width
    and ", which changes its proportions" or "")
  return x
end

--- Whether a picture's brightness is rather that of the data's negative.
local function looks_inverted(x, wanted)
  local usual = wanted.brightness
  if not usual then return false end
  local own = x:mean():item() / wanted.top
  return math.abs(own - (1 - usual)) + 0.2 < math.abs(own - usual)
end

--- Reads a picture.
-- @param path a PNG file
-- @param wanted as M.wanted gives it
-- @param options {grey=, resize=, invert=}: what may be done to it
-- @return real, of the shape of an example
-- @return string what was done, "" where nothing was
function M.read(path, wanted, options)
  local x, done = numbers_of(png.load(path), wanted), {}
  x = with_channels(path, x, wanted, options, done)
  x = resized(path, x, wanted, options, done)
  if options.invert then
    x = wanted.top - x
    done[#done + 1] = "inverted"
  end
  if looks_inverted(x, wanted) then
    done[#done + 1] = ("as bright as a negative of what it was trained on: %s?"):format(options.invert
      and "without --invert" or "--invert")
  end
  return runtime.tensor.reshape(x, wanted.shape), table.concat(done, "; ")
end

return M
