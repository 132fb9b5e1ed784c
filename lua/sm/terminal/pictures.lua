--- Pictures on a terminal that can show them: by the kitty graphics protocol or as sixels. Which one, if any, is asked
--- of the terminal itself, which answers in a moment or not at all.
-- @module sm.terminal.pictures
local runtime = require "sm.runtime"

local M = {}

local patience <const> = 1 -- seconds until a terminal counts as one that does not answer; all that people use do
local piece <const> = 4096 -- bytes of base64 in one command, by the protocol
local levels <const>, greys <const> = 6, 40 -- of each colour, and of grey, of sixels
local least_colour <const> = 12 -- between the largest and the smallest channel, of what is no grey
local mute <const> = { [""] = true, dumb = true, linux = true }

--- A picture of one pixel that is not to be shown, by kitty's protocol; then what every terminal answers: what it is.
--- https://sw.kovidgoyal.net/kitty/graphics-protocol, https://vt100.net/docs/vt510-rm/DA1.html
local question <const> = "\27_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\27\\\27[c"

--- @param ask function(question, last, seconds) → what the terminal answers, or nil
--- @return string|nil "kitty", "sixel"
function M.ability(ask)
  if mute[os.getenv "TERM" or ""] then return nil end
  local answer = ask(question, "c", patience)
  if not answer then return nil end
  if answer:find("\27_Gi=31;OK", 1, true) then return "kitty" end
  local attributes = answer:match "\27%[%?([%d;]+)c"
  return attributes and (";" .. attributes .. ";"):find(";4;", 1, true) and "sixel" or nil
end

--- The bytes of a PNG file as commands for the terminal.
local function kitty(path)
  local file <close> = assert(io.open(path, "rb"))
  local text = runtime.io.base64(file:read "a")
  local parts = {}
  for at = 1, #text, piece do
    local more = at + piece <= #text and 1 or 0
    local part = text:sub(at, at + piece - 1)
    parts[#parts + 1] = ("\27_G%sm=%d;%s\27\\"):format(at == 1 and "a=T,f=100," or "", more, part)
  end
  return table.concat(parts) .. "\n"
end

--- The colour that each pixel comes nearest to, by its number in the palette: 216 of six levels each, and greys.
--- @return table rows of numbers
local function indexed(x)
  local where = require "sm.ops.compare".where
  local cube = (x * ((levels - 1) / 255)):round()
  local weights = require "sm".tensor { levels * levels, levels, 1 }
  local grey = (x:mean(3) * ((greys - 1) / 255)):round() + levels ^ 3
  local index = where((x:max(3) - x:min(3)):lt(least_colour), grey, (cube * weights):sum(3))
  return index:to "int32":totable()
end

--- The palette, in hundredths.
local function palette()
  local parts = {}
  local function add(r, g, b)
    parts[#parts + 1] = ("#%d;2;%d;%d;%d"):format(#parts, math.floor(r + 0.5), math.floor(g + 0.5), math.floor(b + 0.5))
  end
  local step = 100 / (levels - 1)
  for r = 0, levels - 1 do
    for g = 0, levels - 1 do
      for b = 0, levels - 1 do add(r * step, g * step, b * step) end
    end
  end
  for i = 0, greys - 1 do add(100 * i / (greys - 1), 100 * i / (greys - 1), 100 * i / (greys - 1)) end
  return table.concat(parts)
end

--- A row of characters with runs of one shortened.
local function shortened(characters)
  local parts, at, count = {}, 1, #characters
  while at <= count do
    local last = at
    while characters:byte(last + 1) == characters:byte(at) do last = last + 1 end
    local one, length = characters:sub(at, at), last - at + 1
    parts[#parts + 1] = length > 3 and ("!%d%s"):format(length, one) or one:rep(length)
    at = last + 1
  end
  return table.concat(parts)
end

--- Six rows of pixels: each of their colours in turn, a bit for a row.
local function band(rows, first, width)
  local bits, order = {}, {}
  for row = first, math.min(first + 5, #rows) do
    local bit, pixels = 1 << (row - first), rows[row]
    for column = 1, width do
      local colour = pixels[column]
      local own = bits[colour]
      if not own then
        own = {}
        bits[colour], order[#order + 1] = own, colour
      end
      own[column] = (own[column] or 0) | bit
    end
  end
  table.sort(order)
  local parts = {}
  for i, colour in ipairs(order) do
    local own, characters = bits[colour], {}
    for column = 1, width do characters[column] = string.char(63 + (own[column] or 0)) end
    parts[i] = ("#%d%s"):format(colour, shortened(table.concat(characters)))
  end
  return table.concat(parts, "$") .. "-"
end

--- The picture of a PNG file as sixels.
local function sixel(path)
  local _ = require "sm" -- a supervisor may not have loaded tensors' methods yet
  local x = runtime.io.read_png(path, 3)
  local height, width = x.shape[1], x.shape[2]
  local rows, parts = indexed(x:to(runtime.real)), {}
  parts[1] = ('\27P0;1q"1;1;%d;%d%s'):format(width, height, palette())
  for first = 1, height, 6 do parts[#parts + 1] = band(rows, first, width) end
  parts[#parts + 1] = "\27\\\n"
  return table.concat(parts)
end

local forms <const> = { kitty = kitty, sixel = sixel }

--- The picture of a PNG file, as a terminal of this ability takes it.
--- @param ability string of `ability`
--- @return string
function M.encode(ability, path)
  return forms[ability](path)
end

return M
