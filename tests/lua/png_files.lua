--- Writes PNG files of every form, slowly and plainly: what the reader is compared with. For specs.
local runtime = require "sm.runtime"

local M = {}

local CHANNELS <const> = { grey = 1, rgb = 3, palette = 1, grey_alpha = 2, rgb_alpha = 4 }
local CODES <const> = { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgb_alpha = 6 }
local PASSES <const> = { -- of Adam7: first column, first row, steps of both
  { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 }, { 2, 0, 4, 4 }, { 0, 2, 2, 4 }, { 1, 0, 2, 2 }, { 0, 1, 1, 2 },
}
local MOST_STORED <const> = 65535 -- bytes of a block of deflate that is stored as it is

function M.chunk(kind, data)
  return (">I4"):pack(#data) .. kind .. data .. (">I4"):pack(tonumber(runtime.io.checksum(kind .. data), 16))
end

--- Bytes as zlib's format has them, uncompressed.
function M.stored(data)
  local a, b = 1, 0
  for i = 1, #data do
    a = (a + data:byte(i)) % 65521
    b = (b + a) % 65521
  end
  local parts = { "\x78\x01" }
  for first = 1, math.max(1, #data), MOST_STORED do
    local piece = data:sub(first, first + MOST_STORED - 1)
    local last = first + MOST_STORED > #data and 1 or 0
    parts[#parts + 1] = ("<BI2I2"):pack(last, #piece, ~#piece & 0xffff) .. piece
  end
  return table.concat(parts) .. (">I4"):pack(b << 16 | a)
end

--- A row of numbers of so many bits, behind the byte of its filter.
local function row_of(numbers, bits)
  local parts, held, count = { "\0" }, 0, 0
  for _, number in ipairs(numbers) do
    if bits == 16 then
      parts[#parts + 1] = (">I2"):pack(number)
    else
      held, count = held << bits | number, count + bits
      if count == 8 then
        parts[#parts + 1] = string.char(held)
        held, count = 0, 0
      end
    end
  end
  if count > 0 then parts[#parts + 1] = string.char(held << (8 - count)) end
  return table.concat(parts)
end

--- A PNG file.
-- @param form "grey", "rgb", "palette", "grey_alpha" or "rgb_alpha"
-- @param bits of a channel
-- @param rows array of rows, each an array of width × channels numbers
-- @param more {interlaced=, chunks=(what stands before the pixels, such as a palette)}
function M.bytes(form, bits, rows, more)
  more = more or {}
  local channels = CHANNELS[form]
  local width, data = #rows[1] // channels, {}
  for _, pass in ipairs(more.interlaced and PASSES or { { 0, 0, 1, 1 } }) do
    for y = pass[2] + 1, #rows, pass[4] do
      local numbers = {}
      for x = pass[1], width - 1, pass[3] do
        for c = 1, channels do numbers[#numbers + 1] = rows[y][x * channels + c] end
      end
      if #numbers > 0 then data[#data + 1] = row_of(numbers, bits) end
    end
  end
  return "\x89PNG\r\n\x1a\n"
    .. M.chunk("IHDR", (">I4I4BBBBB"):pack(width, #rows, bits, CODES[form], 0, 0, more.interlaced and 1 or 0))
    .. (more.chunks or "") .. M.chunk("IDAT", M.stored(table.concat(data))) .. M.chunk("IEND", "")
end

return M
