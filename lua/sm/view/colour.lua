--- Colour maps, built in OKLab so that equal steps of value look equally large.
-- A map is an array of "#rrggbb"; its first entry is the lowest value.
-- @module sm.view.colour
local M = {}

--- Björn Ottosson's OKLab (bottosson.github.io/posts/oklab) to sRGB.
-- @param lightness 0..1
-- @param chroma distance from grey; about 0.2 is the limit of a screen
-- @param hue degrees
-- @return red, green, blue, 0..1 where a screen can show the colour
function M.srgb(lightness, chroma, hue)
  local a, b = chroma * math.cos(math.rad(hue)), chroma * math.sin(math.rad(hue))
  local l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ^ 3
  local m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ^ 3
  local s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ^ 3
  local function encode(linear)
    if linear <= 0.0031308 then return 12.92 * linear end
    return 1.055 * linear ^ (1 / 2.4) - 0.055
  end
  return encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)
end

--- "#rrggbb" of red, green and blue, 0..1; what a screen cannot show is cut off.
function M.hex(...)
  local bytes = { ... }
  for i, value in ipairs(bytes) do bytes[i] = math.floor(255 * math.max(0, math.min(1, value)) + 0.5) end
  return ("#%02x%02x%02x"):format(table.unpack(bytes))
end

--- A ramp of n colours between two: lightness and hue change evenly, and chroma follows a parabola whose
-- middle control point is `bulge`.
-- @param from, to {lightness, chroma, hue}
local function ramp(from, bulge, to, n)
  local colours = {}
  for i = 1, n do
    local t = (i - 1) / (n - 1)
    local u = 1 - t
    colours[i] = M.hex(M.srgb(u * from[1] + t * to[1], u * u * from[2] + 2 * t * u * bulge + t * t * to[2],
      u * from[3] + t * to[3]))
  end
  return colours
end

local STEPS = 128 -- from one end of a map to its middle

--- For signed values: blue below zero, light grey at zero, red above. Both ends are equally dark, so the sign
-- is in the hue and the size in the lightness; blue and red stay apart in every common colour blindness.
local negative = ramp({ 0.38, 0.115, 258 }, 0.20, { 0.965, 0, 258 }, STEPS + 1)
local positive = ramp({ 0.965, 0, 27 }, 0.22, { 0.38, 0.135, 27 }, STEPS + 1)
M.diverging = table.move(positive, 2, #positive, #negative + 1, negative)

--- For shares and counts: from nearly white through green to dark blue.
M.sequential = ramp({ 0.97, 0.03, 150 }, 0.12, { 0.30, 0.09, 270 }, 2 * STEPS + 1)

--- From black to white, as one channel of an rgb picture: even in sRGB, not in lightness.
M.grey = {}
for i = 0, 2 * STEPS do
  local value = i / (2 * STEPS)
  M.grey[i + 1] = M.hex(value, value, value)
end

--- The colour of one of several lines or points: equally light, of evenly spread hues.
-- @param number of it, from 1
-- @param lightness 0.6 when absent; text takes 0.5
function M.of_series(number, count, lightness)
  return M.hex(M.srgb(lightness or 0.6, 0.14, 360 * (number - 1) / count + 20))
end

return M
