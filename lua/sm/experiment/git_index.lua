--- git's index, versions 2 to 4 (gitformat-index(5)), against the files of the work tree. It may be anything at all:
--- what is not as the format has it raises, and nothing outside the work tree is looked at.
local lfs = require "lfs"
local beneath <const> = require "sm.runtime".io.beneath

local M = {}

local most_name <const> = 4096   -- bytes
local most_read <const> = 4 << 20 -- bytes of files that are compared by content, in all
local file_kind <const>, link_kind <const>, module_kind <const>, tree_kind <const> = 8, 10, 14, 4 -- of mode >> 12
local unchanging <const>, extended <const> = 0x8000, 0x4000       -- of the flags
local not_here <const>, to_be_added <const> = 0x4000, 0x2000     -- of the further flags

local words <const> = ">" .. ("I4"):rep(16)

--- SHA-1 (FIPS 180-4), as hexadecimal digits.
local function sha1(text)
  local bits = 8 * #text
  text = text .. "\x80" .. ("\0"):rep((55 - #text) % 64) .. (">I8"):pack(bits)
  local h0, h1, h2, h3, h4 = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0
  for at = 1, #text, 64 do
    local w = { words:unpack(text, at) }
    for i = 17, 80 do
      local x = w[i - 3] ~ w[i - 8] ~ w[i - 14] ~ w[i - 16]
      w[i] = (x << 1 | x >> 31) & 0xFFFFFFFF
    end
    local a, b, c, d, e = h0, h1, h2, h3, h4
    for i = 1, 80 do
      local f
      if i <= 20 then f = (b & c | ~b & d) + 0x5A827999
      elseif i <= 40 then f = (b ~ c ~ d) + 0x6ED9EBA1
      elseif i <= 60 then f = (b & c | b & d | c & d) + 0x8F1BBCDC
      else f = (b ~ c ~ d) + 0xCA62C1D6 end
      a, b, c, d, e = (a << 5 | a >> 27) + (f & 0x1FFFFFFFF) + e + w[i] & 0xFFFFFFFF, a,
        (b << 30 | b >> 2) & 0xFFFFFFFF, c, d
    end
    h0, h1, h2, h3, h4 = h0 + a & 0xFFFFFFFF, h1 + b & 0xFFFFFFFF, h2 + c & 0xFFFFFFFF, h3 + d & 0xFFFFFFFF,
      h4 + e & 0xFFFFFFFF
  end
  return ("%08x%08x%08x%08x%08x"):format(h0, h1, h2, h3, h4)
end

--- How many bytes of the name before to leave out: version 4 has it as a number in groups of seven bits.
local function read_stripped(index, at)
  local value = -1
  repeat
    local byte = index:byte(at)
    value, at = (value + 1) << 7 | byte & 0x7F, at + 1
    if value > most_name then error "a name" end
  until byte < 0x80
  return value, at
end

--- One entry, which begins at `at`, and where the next one does.
local function read_entry(index, at, version, id_bytes, before)
  local start, entry = at, { further = 0 }
  entry.seconds, entry.nanoseconds = (">I4I4"):unpack(index, at + 8) -- behind the change of the inode; then the device
  entry.mode = (">I4"):unpack(index, at + 24)
  entry.size, entry.id, entry.flags, at = (">I4c%dI2"):format(id_bytes):unpack(index, at + 36)
  if entry.flags & extended ~= 0 then entry.further, at = (">I2"):unpack(index, at) end
  local kept = ""
  if version == 4 then
    local stripped
    stripped, at = read_stripped(index, at)
    if stripped > #before then error "a name" end
    kept = before:sub(1, #before - stripped)
  end
  local ending = index:find("\0", at, true)
  if not ending or ending - at + #kept > most_name then error "a name" end
  entry.name = kept .. index:sub(at, ending - 1)
  if version == 4 then return entry, ending + 1 end
  return entry, start + (ending - start + 8) // 8 * 8
end

--- @return table array of entries
--- @return boolean|nil whether the index says that it holds a tree that was written; nil where it does not say
local function read(index, id_bytes)
  local magic, version, count, at = (">c4I4I4"):unpack(index)
  if magic ~= "DIRC" or version < 2 or version > 4 or count > #index // (42 + id_bytes) then error "the head" end
  local entries, written = {}, nil
  for i = 1, count do
    entries[i], at = read_entry(index, at, version, id_bytes, i > 1 and entries[i - 1].name or "")
  end
  while at <= #index - id_bytes do
    local name, size
    name, size, at = (">c4I4"):unpack(index, at)
    if name == "TREE" then
      local valid = index:sub(at, at + size - 1):match "^\0(%-?%d+) %d+\n"
      written = valid and not valid:find "^-" or false
    elseif name == "link" or name:find "^%l" and name ~= "sdir" then
      error "an extension that changes what the rest means"
    end
    at = at + size
  end
  return entries, written
end

--- Whether the contents of files may differ from what git keeps of them.
local function has_filters(entries, given)
  local function declares(text)
    return text and (text:find "filter%s*=" or text:find "%f[%w]ident%f[^%w]" or text:find "working%-tree%-encoding")
  end
  if declares(given.attributes) then return true end
  for _, entry in ipairs(entries) do
    if ("/" .. entry.name):find "/%.gitattributes$" and declares((beneath.read(given.top, entry.name, 1 << 20))) then
      return true
    end
  end
  return false
end

--- Whether a file's content is another than the index has. @return boolean|nil nil where that cannot be known
local function differs(entry, given)
  local content
  if entry.mode >> 12 == link_kind then
    content = lfs.symlinkattributes(given.top .. "/" .. entry.name, "target")
  else
    content = beneath.read(given.top, entry.name, given.left)
  end
  if not content or given.id_bytes ~= 20 then return nil end
  given.left = given.left - #content
  local id = entry.id:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  local function is(text) return sha1(("blob %d\0"):format(#text) .. text) == id end
  if is(content) or content:find("\r\n", 1, true) and is((content:gsub("\r\n", "\n"))) then return false end
  if given.filtered == nil then given.filtered = has_filters(given.entries, given) end
  return not given.filtered or nil
end

--- Whether two times are the same, or the first is not before the second; by seconds where a file system, or the
--- program that wrote the index, has no more.
local function is_same_time(entry, seconds, nanoseconds)
  return entry.seconds == seconds & 0xFFFFFFFF and (entry.nanoseconds == 0 or entry.nanoseconds == nanoseconds)
end

local function may_be_later(entry, given)
  if entry.seconds ~= given.seconds then return entry.seconds > given.seconds end
  return entry.nanoseconds == 0 or entry.nanoseconds >= given.nanoseconds
end

--- @return boolean|nil nil where it cannot be known
local function is_changed(entry, given)
  if entry.flags >> 12 & 3 ~= 0 or entry.further & to_be_added ~= 0 then return true end -- a conflict, or `add -N`
  local kind_of_entry = entry.mode >> 12
  if entry.flags & unchanging ~= 0 or entry.further & not_here ~= 0 or kind_of_entry == tree_kind then return false end
  local kind, size, seconds, nanoseconds, runs = beneath.status(given.top, entry.name)
  if not kind and size then return nil end -- out of reach
  if kind_of_entry == module_kind then return kind ~= "directory" end
  if kind ~= (kind_of_entry == link_kind and "link" or kind_of_entry == file_kind and "file") then
    return not (kind == "file" and kind_of_entry == link_kind and given.links_are_files) or nil
  end
  if kind == "file" and not given.any_may_run and runs ~= (entry.mode & 64 ~= 0) then return true end
  local unread = entry.seconds == 0 and entry.size == 0 -- git has not looked at the file yet
  if not unread and size & 0xFFFFFFFF ~= entry.size then return true end
  if is_same_time(entry, seconds, nanoseconds) and not may_be_later(entry, given) then return false end
  return differs(entry, given)
end

--- Whether tracked files have changed. Raises where the index is malformed.
--- @param index string|nil its content
--- @param given table {top=(the work tree), id_bytes=(of a commit's name), seconds=, nanoseconds=(when the index was
---   written), config=, attributes=(texts of the repository), own_tree=(whether the work tree has its git directory)}
--- @return boolean|nil nil where it cannot be known
function M.is_dirty(index, given)
  local config = given.config:lower()
  if not index or given.own_tree and config:find "\n%s*worktree%s*=" then return nil end
  given.any_may_run = config:find "\n%s*filemode%s*=%s*false" ~= nil
  given.links_are_files = config:find "\n%s*symlinks%s*=%s*false" ~= nil
  given.left = most_read
  local written
  given.entries, written = read(index, given.id_bytes)
  local known = written ~= nil
  for _, entry in ipairs(given.entries) do
    local changed = is_changed(entry, given)
    if changed then return true end
    if changed == nil then known = false end
  end
  if written == false then return true end
  if known then return false end
end

return M
