--- Names of experiments and runs as names of files.
local runtime = require "sm.runtime"

local M = {}

local most_bytes <const> = 200 -- of a name: a file system takes 255, and "-2" and the like are added
local kept_bytes <const> = 180 -- of a name that is longer

M.most_bytes = most_bytes

--- Whether a value can begin the name of a file, which is seen and lies nowhere else.
function M.is_part(value)
  return type(value) == "string" and #value <= most_bytes and utf8.len(value) ~= nil
    and value:find "^[^%c/.][^%c/]*$" ~= nil
end

--- Where a text stops being UTF-8. @return integer|nil the position of a byte
function M.not_utf8(text)
  local _, position = utf8.len(text)
  return position
end

--- Bytes that are safe in a file name on every system stay; the others become %XX.
function M.safe(text)
  return (text:gsub("[^%w._+-]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- A name that fits into a file system: a long one is cut, and told from others by a checksum of the whole.
function M.file_name(name)
  if #name <= most_bytes then return name end
  local cut = name:sub(1, kept_bytes):gsub("%%%x?$", "")
  local wrong = M.not_utf8(cut)
  if wrong then cut = cut:sub(1, wrong - 1) end
  return ("%s~%s"):format(cut, runtime.io.checksum(name))
end

--- The name of the directory for the runs of a file, which must be seen: control characters, and a dot that would hide
--- it, are written %XX.
function M.of_file(path)
  local name = path:match "([^/]*)$":gsub("%.lua$", "")
  return M.file_name((name:gsub("%c", M.safe):gsub("^%.", "%%2E"):gsub("^$", "%%")))
end

return M
