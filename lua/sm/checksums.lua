--- Checksums of a .safetensors file, in its own metadata: of the header's text and of every tensor's bytes, so that a
-- file which is damaged is not taken for what was written. Other programs read such a file as any other one.
-- @module sm.checksums
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local brief = require "sm.text".brief

local M = {}

--- The metadata's key. Its value is eight hexadecimal digits for the header, then eight for each tensor, in the order
-- of the data. The header's are those of its text with eight zeros in their place.
M.key = "smrun.crc32"

local unknown <const> = "00000000"
local start <const> = ('"%s":"'):format(M.key)

--- The value for some tensors, the header's digits unknown as yet.
-- @param tensors array in the order of the data
function M.of(tensors)
  local sums = { unknown }
  for _, tensor in ipairs(tensors) do sums[#sums + 1] = runtime.io.checksum(tensor) end
  return table.concat(sums, " ")
end

--- The header's text with other digits in the place of its own.
-- @return string the text, nil where there is no such place
-- @return string what stood there
local function exchanged(text, value)
  local _, last = text:find(start, 1, true)
  if not last then return nil end
  return text:sub(1, last) .. value .. text:sub(last + #value + 1), text:sub(last + 1, last + #value)
end

--- The header's text, complete and padded, with its own digits.
function M.seal(text)
  return (exchanged(text, runtime.io.checksum(text)))
end

local function refuse(path, what)
  fail("%s: %s not what was written: its checksum differs (if another program has changed the file, it should drop "
    .. "'%s' from the metadata)", path, what, M.key)
end

--- Raises where a file is not what was written, and says which tensor. Without checksums there is nothing to compare.
-- @param text the header's
-- @param entries array of {name=, first=, last=} in the order of the data
-- @param reader of the file
function M.verify(path, text, metadata, entries, reader)
  local value = metadata[M.key]
  if not value then return end
  local blank, own = exchanged(text, unknown)
  if not blank or runtime.io.checksum(blank) ~= own then refuse(path, "the header is") end
  local position = 0
  for sum in value:gmatch("%x+", #unknown + 1) do
    position = position + 1
    local entry = entries[position]
    if not entry or reader:checksum(entry.first, entry.last) ~= sum then
      refuse(path, entry and ("tensor '%s' is"):format(brief(entry.name)) or "the list of tensors is")
    end
  end
  if position ~= #entries then refuse(path, "the list of tensors is") end
end

return M
