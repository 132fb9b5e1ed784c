--- .npz files, NumPy's archives of named arrays: a ZIP (PKWARE's APPNOTE, 4.3) whose members are .npy files. Here is
-- where the members lie; what they hold is read and written in C. Nothing that the archive says is believed.
-- @module sm.npz
local runtime = require "sm.runtime"
local fail = require "sm.fail"
local brief = require "sm.text".brief

local M = {}

local read_piece <const> = runtime.io.read_piece

local LOCAL <const>, CENTRAL <const>, END <const> = "PK\3\4", "PK\1\2", "PK\5\6"
local LOCAL_BYTES <const>, CENTRAL_BYTES <const>, END_BYTES <const> = 30, 46, 22
local MOST_COMMENT <const>, MOST_DIRECTORY <const> = 0xffff, 64 << 20
local BEYOND <const> = 0xffffffff -- of a size: it stands elsewhere (ZIP64)
local ENCRYPTED <const> = 1
local STORED <const>, DEFLATED <const> = 0, 8

--- The directory of the archive, at its end: its text and where it begins.
local function read_directory(path)
  local tail, bytes = read_piece(path, -(END_BYTES + MOST_COMMENT), END_BYTES + MOST_COMMENT)
  for at = #tail - END_BYTES + 1, 1, -1 do
    if tail:sub(at, at + 3) == END and (("<I2"):unpack(tail, at + 20)) == #tail - at + 1 - END_BYTES then
      local disk, first_disk, here, count, size, first = ("<I2I2I2I2I4I4"):unpack(tail, at + 4)
      local last = bytes - #tail + at - 1
      if first == BEYOND or size == BEYOND or count == 0xffff then
        fail("%s: an archive of more than 4 GiB or 65,534 members cannot be read", path)
      elseif disk ~= 0 or first_disk ~= 0 or here ~= count or first + size ~= last or size > MOST_DIRECTORY then
        fail("%s: byte %d: the end of the archive says that its directory has %d bytes at byte %d", path, last, size,
          first)
      end
      return read_piece(path, first, size), first, count
    end
  end
  fail("%s: no NPZ file: it has no end of a ZIP archive", path)
end

--- The members: array of {name=, at=(of its front), packed=, bytes=, method=, checksum=}, in the order of the file.
local function members_of(path)
  local text, first, count = read_directory(path)
  local members, at = { directory = first }, 1
  for i = 1, count do
    if text:sub(at, at + 3) ~= CENTRAL or #text - at + 1 < CENTRAL_BYTES then
      fail("%s: byte %d: member %d of %d should stand here", path, first + at - 1, i, count)
    end
    local flags, method, checksum, packed, bytes, name, extra, comment, place = ("<I2I2xxxxI4I4I4I2I2I2xxxxxxxxI4")
      :unpack(text, at + 8)
    local last = at + CENTRAL_BYTES + name + extra + comment
    if last - 1 > #text then fail("%s: byte %d: member %d goes beyond the directory", path, first + at - 1, i) end
    local member = {
      name = text:sub(at + CENTRAL_BYTES, at + CENTRAL_BYTES + name - 1), at = place, packed = packed, bytes = bytes,
      method = method, checksum = checksum, encrypted = flags & ENCRYPTED ~= 0,
    }
    if not utf8.len(member.name) or member.name:find "%c" then
      fail("%s: byte %d: the name of member %d is no text of UTF-8", path, first + at - 1, i)
    end
    members[i], at = member, last
  end
  if at - 1 ~= #text then fail("%s: byte %d: the directory is longer than its members", path, first + at - 1) end
  table.sort(members, function(a, b) return a.at < b.at end)
  return members
end

--- Enters where the data of every member begin. They must not overlap.
local function find_data(path, members)
  local before = 0
  for i, member in ipairs(members) do
    local front = read_piece(path, member.at, LOCAL_BYTES)
    if member.at < before or #front < LOCAL_BYTES or front:sub(1, 4) ~= LOCAL then
      fail("%s: byte %d: the member '%s' should begin here", path, member.at, brief(member.name))
    end
    local name, extra = ("<I2I2"):unpack(front, 27)
    member.data = member.at + LOCAL_BYTES + name + extra
    before = member.data + member.packed
    if before > (members[i + 1] and members[i + 1].at or members.directory) then
      fail("%s: byte %d: the %d bytes of the member '%s' reach into what follows", path, member.data, member.packed,
        brief(member.name))
    end
  end
end

--- @return tensor, or nil and why it cannot be read
local function read_member(path, member)
  local label = ("%s: '%s'"):format(path, brief(member.name))
  if member.packed == BEYOND or member.bytes == BEYOND then return nil, label .. ": more than 2 GiB cannot be read" end
  if member.encrypted then return nil, label .. ": it is encrypted" end
  if member.method ~= STORED and member.method ~= DEFLATED then
    return nil, ("%s: it is compressed by method %d; 0 (stored) and 8 (deflated) can be read"):format(label,
      member.method)
  end
  return runtime.io.read_npz(path, label, member.data, member.packed, member.bytes, member.method == DEFLATED,
    member.checksum)
end

--- @return table name → tensor
--- @return table empty: there are no metadata
--- @return table name → why it could not be read
function M.load(path)
  local members, tensors, reasons = members_of(path), {}, {}
  find_data(path, members)
  for _, member in ipairs(members) do
    local name = member.name:match "^(.+)%.npy$"
    if not name then fail("%s: the member '%s' is no .npy file", path, brief(member.name)) end
    if tensors[name] or reasons[name] then fail("%s: two members are called '%s'", path, brief(member.name)) end
    tensors[name], reasons[name] = read_member(path, member)
  end
  return tensors, {}, reasons
end

local MOST_BYTES <const> = BEYOND - 1
local VERSION <const>, NO_TIME <const>, NO_DATE <const> = 20, 0, 33 -- 2.0; 1980-01-01

--- Writes tensors, stored as they are, as NumPy's savez does.
--- @param names array in the order of the file
--- @param bytes_of function(tensor)
function M.save(path, names, tensors, bytes_of)
  local writer <close> = runtime.io.create(path)
  local directory, at = {}, 0
  for i, name in ipairs(names) do
    local tensor, member = tensors[name], name .. ".npy"
    local front, checksum = runtime.io.npy_front(tensor)
    local bytes = #front + bytes_of(tensor)
    if at + bytes > MOST_BYTES - (1 << 20) or #names > 0xfffe or #member > 0xffff then
      fail("save: %s: an .npz file of more than 4 GiB cannot be written; a .safetensors file can", path)
    end
    local common = ("<I2I2I2I2I2I4I4I4I2I2"):pack(VERSION, 1 << 11, STORED, NO_TIME, NO_DATE, checksum, bytes, bytes,
      #member, 0) -- bit 11: the name is UTF-8
    writer:write(LOCAL .. common .. member .. front)
    writer:write(tensor)
    directory[i] = CENTRAL .. ("<I2"):pack(VERSION) .. common .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, at) .. member
    at = at + LOCAL_BYTES + #member + bytes
  end
  local text = table.concat(directory)
  writer:write(text .. END .. ("<I2I2I2I2I4I4I2"):pack(0, 0, #names, #names, #text, at, 0))
  writer:commit()
end

return M
