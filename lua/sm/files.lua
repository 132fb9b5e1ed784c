--- Tensors in files that other programs read: .npy for one tensor, .safetensors and .npz for named ones.
-- @module sm.files
local runtime = require "sm.runtime"
local check = require "sm.check"
local checksums = require "sm.checksums"
local fail = require "sm.fail"
local json = require "sm.json"
local npz = require "sm.npz"
local ordered = require "sm.ordered"
local reach = require "sm.reach"
local brief = require "sm.text".brief

local M = {}

local METADATA <const> = "__metadata__"
local MAX_RANK <const> = 8
local HEADER_START <const> = 8 -- bytes before the JSON text of a safetensors file
local ALIGNMENT <const> = 8 -- the data begin at a multiple of it

local is_tensor = runtime.tensor.is_tensor

local unread = setmetatable({}, { __mode = "k" }) -- a table that load gave → the names that it could not read

--- The keys of a table in the order in which they are written; every key must be a string of UTF-8.
local function names_of(path, what, map)
  local missing = unread[map] and next(unread[map])
  if missing then
    fail("save: %s: this table was read without '%s', which would be lost; copy what is to be saved into a new one",
      path, missing)
  end
  for name in next, map do
    if type(name) ~= "string" or not utf8.len(name) then
      fail("save: %s: the names of %s must be strings of UTF-8, got %s", path, what, check.describe(name))
    end
  end
  if not ordered.is(map) then return ordered.sorted_keys(map) end
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  return names
end

--- @param sums the checksums of the tensors, or nil
local function metadata_text(path, metadata, sums)
  local parts = { sums and ('"%s":"%s"'):format(checksums.key, sums) }
  for _, name in ipairs(names_of(path, "metadata", metadata)) do
    if name == checksums.key then fail("save: %s: no metadata may be called '%s'", path, checksums.key) end
    local value = metadata[name]
    if type(value) ~= "string" or not utf8.len(value) then
      fail("save: %s: metadata '%s' must be a string of UTF-8, got %s", path, name,
        type(value) == "string" and "other bytes" or check.describe(value))
    end
    parts[#parts + 1] = json.quote(name) .. ":" .. json.quote(value)
  end
  return ('"%s":{%s}'):format(METADATA, table.concat(parts, ","))
end

local function entry_text(name, tensor, first, last)
  return ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(json.quote(name),
    runtime.io.safetensors_dtype(tensor), table.concat(tensor.shape, ","), first, last)
end

local BYTES <const> = { F32 = 4, F64 = 8, U8 = 1, I32 = 4 }

local function bytes_of(tensor)
  local bytes = BYTES[runtime.io.safetensors_dtype(tensor)]
  for _, size in ipairs(tensor.shape) do bytes = bytes * size end
  return bytes
end

--- The names of a table of tensors, in the order in which they are written.
--- @param kind string of file
local function checked_names(path, kind, tensors)
  if type(tensors) ~= "table" then
    fail("save: %s: %s file holds a table of named tensors, got %s", path, kind, check.describe(tensors))
  end
  local names = names_of(path, "tensors", tensors)
  for _, name in ipairs(names) do
    if not is_tensor(tensors[name]) then
      fail("save: %s: '%s' must be a tensor, got %s", path, name, check.describe(tensors[name]))
    end
  end
  return names
end

local function save_safetensors(path, tensors, metadata, checked, root)
  local names, parts, offset, written = checked_names(path, "a .safetensors", tensors), {}, 0, {}
  if metadata ~= nil and type(metadata) ~= "table" then
    fail("save: %s: metadata must be a table of strings, got %s", path, check.describe(metadata))
  end
  for _, name in ipairs(names) do
    local tensor = tensors[name]
    if name == METADATA then fail("save: %s: no tensor may be called '%s'", path, METADATA) end
    local last = offset + bytes_of(tensor)
    parts[#parts + 1], written[#written + 1] = entry_text(name, tensor, offset, last), tensor
    offset = last
  end
  if metadata then table.insert(parts, 1, metadata_text(path, metadata, checked and checksums.of(written))) end
  local header = "{" .. table.concat(parts, ",") .. "}"
  header = header .. (" "):rep(-#header % ALIGNMENT)
  local writer <close> = runtime.io.create(path, root)
  writer:header(checked and checksums.seal(header) or header)
  for _, tensor in ipairs(written) do writer:write(tensor) end
  writer:commit()
end

--- A decoded array as a list of integers of at least 0; nil when it is anything else.
local function sizes(array)
  if not json.is_array(array) then return nil end
  local result = {}
  for i, size in ipairs(array) do
    if math.type(size) ~= "integer" or size < 0 then return nil end
    result[i] = size
  end
  return result
end

local function check_entry(path, name, entry)
  local shape, offsets = sizes(entry.shape), sizes(entry.data_offsets)
  local named = type(entry.dtype) == "string" and #entry.dtype < 32 and entry.dtype:find "^[%w_]+$"
  if not named or not shape or not offsets or #offsets ~= 2 then
    fail("%s: tensor '%s' should have a dtype, a shape and two data_offsets", path, brief(name))
  end
  return { name = name, dtype = entry.dtype, shape = shape, first = offsets[1], last = offsets[2] }
end

--- Tensors must follow each other from the first byte of the data to the last.
local function check_layout(path, entries, data_bytes)
  table.sort(entries, function(a, b)
    if a.first ~= b.first then return a.first < b.first end
    if a.last ~= b.last then return a.last < b.last end
    return a.name < b.name
  end)
  local offset = 0
  for _, entry in ipairs(entries) do
    if entry.first ~= offset or entry.last < offset then
      fail("%s: tensor '%s' lies at %d to %d of the data; it should begin at %d, without holes or overlaps",
        path, brief(entry.name), entry.first, entry.last, offset)
    end
    offset = entry.last
  end
  if offset ~= data_bytes then
    fail("%s: the tensors take %d bytes of data, and the file has %d", path, offset, data_bytes)
  end
end

local function check_metadata(path, metadata)
  if json.kind(metadata) ~= "object" then fail("%s: %s is not an object", path, METADATA) end
  for key, value in pairs(metadata) do
    if type(value) ~= "string" then
      fail("%s: %s should hold strings alone; '%s' is none", path, METADATA, brief(key))
    end
  end
  return metadata
end

local function read_header(path, text, data_bytes)
  if text:sub(1, 1) ~= "{" then
    fail("%s: byte %d: the header does not begin with '{'", path, HEADER_START)
  end
  local header, at, reason = json.decode(text)
  if not header then fail("%s: byte %d: the header %s", path, HEADER_START + at - 1, reason) end
  local entries, metadata = {}, {}
  for name, entry in pairs(header) do
    if name == METADATA then
      metadata = check_metadata(path, entry)
    else
      if json.kind(entry) ~= "object" then fail("%s: the header's '%s' is not an object", path, brief(name)) end
      entries[#entries + 1] = check_entry(path, name, entry)
    end
  end
  check_layout(path, entries, data_bytes)
  return entries, metadata
end

--- A tensor of a file, or nil and why it cannot be read.
local function read_entry(reader, path, entry)
  if #entry.shape > MAX_RANK then
    return nil, ("%s: tensor '%s' has %d axes; at most %d can be read"):format(path, brief(entry.name), #entry.shape,
      MAX_RANK)
  end
  return reader:read(brief(entry.name), entry.dtype, entry.shape, entry.first, entry.last)
end

--- A tensor that could not be read is no tensor that is not there: to ask for it by name raises.
local function guard(tensors, reasons)
  unread[tensors] = reasons
  return setmetatable(tensors, { __index = function(_, name)
    if reasons[name] then fail("%s", reasons[name]) end
  end })
end

--- @param root integer|nil how much of the path names a directory beneath which no link is followed
local function load_safetensors(path, root)
  local reader <close> = runtime.io.open_safetensors(path, root)
  local text, data_bytes = reader:header()
  local entries, metadata = read_header(path, text, data_bytes)
  checksums.verify(path, text, metadata, entries, reader)
  metadata[checksums.key] = nil
  local tensors, reasons = {}, {}
  for _, entry in ipairs(entries) do
    tensors[entry.name], reasons[entry.name] = read_entry(reader, path, entry)
  end
  if next(reasons) then guard(tensors, reasons) end
  return tensors, metadata, reasons
end

local function save_npy(path, tensor, metadata)
  if metadata ~= nil then fail("save: %s: only a .safetensors file has room for metadata", path) end
  if not is_tensor(tensor) then
    fail("save: %s: a .npy file holds one tensor, got %s; .safetensors holds a table of them", path,
      check.describe(tensor))
  end
  runtime.io.write_npy(path, tensor)
end

local function save_npz(path, tensors, metadata)
  if metadata ~= nil then fail("save: %s: only a .safetensors file has room for metadata", path) end
  local names = checked_names(path, "an .npz", tensors)
  for _, name in ipairs(names) do
    if name == "" or name:find "%c" then
      fail("save: %s: a name in an .npz file is a text without control characters, got '%s'", path, check.word(name))
    end
  end
  npz.save(path, names, tensors, bytes_of)
end

local function load_npz(path)
  local tensors, metadata, reasons = npz.load(path)
  if next(reasons) then guard(tensors, reasons) end
  return tensors, metadata, reasons
end

local FORMATS <const> = {
  npz = { save = save_npz, load = load_npz },
  npy = { save = save_npy, load = runtime.io.read_npy },
  safetensors = { save = save_safetensors, load = load_safetensors },
}

local function format_of(where, path)
  if type(path) ~= "string" then
    fail("%s: the path must be a string, got %s", where, check.describe(path))
  end
  local format = FORMATS[path:match "%.([^./]+)$"]
  if not format then
    fail("%s: %s: the name should end in .npy (one tensor), or in .safetensors or .npz (a table of named tensors)%s",
      where, path, path:lower():find "%.png$" and "; for pictures there are sm.png.save and sm.png.load" or "")
  end
  return format
end

--- Writes tensors to a file. It is written beside its place, synced and renamed: a crash leaves the old file
-- or the new one, never a part.
-- @param path string ending in .npy, .npz or .safetensors
-- @param x for .npy a tensor; for the others a table name → tensor, written in its own order when it is
--   an ordered map (as model:parameters() is), else sorted by name
-- @param metadata for .safetensors: optional table of strings, name → text
function M.save(path, x, metadata)
  format_of("save", path).save(reach.to_write(path), x, metadata)
end

--- Writes a .safetensors file as save does, with checksums that load compares.
-- @param metadata table of strings
-- @param root integer or nil: how much of the path names a directory beneath which no link is followed
function M.save_checked(path, tensors, metadata, root)
  save_safetensors(path, tensors, metadata, true, root)
end

--- Reads a .safetensors file as load does, beneath a directory in which no link is followed.
-- @param root integer how much of the path names the directory
function M.load_beneath(path, root)
  return load_safetensors(path, root)
end

--- Reads a file of tensors. Floats of 16, 32 and 64 bits become real, rounded to the nearest (a float64 that is
-- finite and would not be is refused), unsigned bytes uint8, booleans (as 0 and 1) and all other integers int32,
-- which they must fit. A file of named ones gives every tensor that can be read: the names of the others, with the
-- reason, come as a third value, and to index the table by one of them raises that reason.
-- A file with checksums that is not what was written is refused.
-- @param path string ending in .npy, .npz or .safetensors
-- @return for .npy the tensor; for the others a table name → tensor, the metadata (a table of strings, maybe
--   empty; that of an .npz file is), and a table name → reason of what could not be read (maybe empty)
function M.load(path)
  return format_of("load", path).load(reach.to_read(path, true))
end

return M
