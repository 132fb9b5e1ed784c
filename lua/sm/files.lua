--- Tensors in files that other programs read: .npy for one tensor, .safetensors for named ones.
-- @module sm.files
local cjson = require "cjson"
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local ordered = require "sm.ordered"

local M = {}

local METADATA <const> = "__metadata__"
local MAX_RANK <const> = 8
local HEADER_START <const> = 8 -- bytes before the JSON text of a safetensors file

local is_tensor = runtime.tensor.is_tensor

local json = cjson.new() -- one with settings of our own
json.decode_invalid_numbers(false)

--- The keys of a table in the order in which they are written; every key must be a string of UTF-8.
local function names_of(path, what, map)
  for name in pairs(map) do
    if type(name) ~= "string" or not utf8.len(name) then
      fail("save: %s: the names of %s must be strings of UTF-8, got %s", path, what, check.describe(name))
    end
  end
  if not ordered.is(map) then return ordered.sorted_keys(map) end
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  return names
end

local function metadata_text(path, metadata)
  local parts = {}
  for i, name in ipairs(names_of(path, "metadata", metadata)) do
    local value = metadata[name]
    if type(value) ~= "string" or not utf8.len(value) then
      fail("save: %s: metadata '%s' must be a string of UTF-8, got %s", path, name,
        type(value) == "string" and "other bytes" or check.describe(value))
    end
    parts[i] = json.encode(name) .. ":" .. json.encode(value)
  end
  return ('"%s":{%s}'):format(METADATA, table.concat(parts, ","))
end

local function entry_text(name, tensor, first, last)
  return ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(json.encode(name),
    runtime.io.safetensors_dtype(tensor), table.concat(tensor.shape, ","), first, last)
end

local BYTES <const> = { F32 = 4, F64 = 8, U8 = 1, I32 = 4 }

local function bytes_of(tensor)
  local bytes = BYTES[runtime.io.safetensors_dtype(tensor)]
  for _, size in ipairs(tensor.shape) do bytes = bytes * size end
  return bytes
end

local function save_safetensors(path, tensors, metadata)
  if type(tensors) ~= "table" then
    fail("save: %s: a .safetensors file holds a table of named tensors, got %s", path,
      check.describe(tensors))
  end
  if metadata ~= nil and type(metadata) ~= "table" then
    fail("save: %s: metadata must be a table of strings, got %s", path, check.describe(metadata))
  end
  local names, parts, offset = names_of(path, "tensors", tensors), {}, 0
  if metadata then parts[1] = metadata_text(path, metadata) end
  for _, name in ipairs(names) do
    local tensor = tensors[name]
    if not is_tensor(tensor) then
      fail("save: %s: '%s' must be a tensor, got %s", path, name, check.describe(tensor))
    end
    if name == METADATA then fail("save: %s: no tensor may be called '%s'", path, METADATA) end
    local last = offset + bytes_of(tensor)
    parts[#parts + 1] = entry_text(name, tensor, offset, last)
    offset = last
  end
  local writer <close> = runtime.io.create(path)
  writer:header("{" .. table.concat(parts, ",") .. "}")
  for _, name in ipairs(names) do writer:write(tensors[name]) end
  writer:commit()
end

--- The keys of the outermost object of a valid JSON text, in order, repeated ones included.
local function outer_keys(text)
  local keys, depth, at = {}, 0, 1
  while true do
    local first, _, char = text:find('([%[%]{}"])', at)
    if not first then return keys end
    at = first + 1
    if char == "{" or char == "[" then
      depth = depth + 1
    elseif char == "}" or char == "]" then
      depth = depth - 1
    else
      while text:sub(at, at) ~= '"' do
        at = text:find('["\\]', at)
        if text:sub(at, at) == "\\" then at = at + 2 end
      end
      if depth == 1 then keys[#keys + 1] = json.decode("[" .. text:sub(first, at) .. "]")[1] end
      at = at + 1
    end
  end
end

--- The values of a decoded array as integers of at least 0; nil when it is anything else.
local function sizes(array)
  if type(array) ~= "table" then return nil end
  local result = {}
  for i in pairs(array) do
    local value = array[i]
    local size = type(value) == "number" and math.tointeger(value)
    if math.type(i) ~= "integer" or not size or size < 0 then return nil end
    result[i] = size
  end
  return result
end

local function check_entry(path, name, entry)
  local shape, offsets = sizes(entry.shape), sizes(entry.data_offsets)
  if type(entry.dtype) ~= "string" or not shape or not offsets or #offsets ~= 2 then
    fail("%s: tensor '%s' should have a dtype, a shape and two data_offsets", path, name)
  end
  if #shape > MAX_RANK then
    fail("%s: tensor '%s' has %d axes; at most %d can be read", path, name, #shape, MAX_RANK)
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
        path, entry.name, entry.first, entry.last, offset)
    end
    offset = entry.last
  end
  if offset ~= data_bytes then
    fail("%s: the tensors take %d bytes of data, and the file has %d", path, offset, data_bytes)
  end
end

local function check_metadata(path, metadata)
  if type(metadata) ~= "table" then fail("%s: %s is not an object", path, METADATA) end
  for key, value in pairs(metadata) do
    if type(key) ~= "string" or type(value) ~= "string" then
      fail("%s: %s should hold strings alone; '%s' is none", path, METADATA, tostring(key))
    end
  end
  return metadata
end

local function read_header(path, text, data_bytes)
  if text:sub(1, 1) ~= "{" then
    fail("%s: byte %d: the header does not begin with '{'", path, HEADER_START)
  end
  local valid, header = pcall(json.decode, text)
  if not valid then fail("%s: byte %d: the header is not JSON: %s", path, HEADER_START, header) end
  local entries, metadata, seen = {}, {}, {}
  for _, name in ipairs(outer_keys(text)) do
    if seen[name] then fail("%s: the header has '%s' twice", path, name) end
    seen[name] = true
    if name == METADATA then
      metadata = check_metadata(path, header[name])
    else
      if type(header[name]) ~= "table" then fail("%s: the header's '%s' is not an object", path, name) end
      entries[#entries + 1] = check_entry(path, name, header[name])
    end
  end
  check_layout(path, entries, data_bytes)
  return entries, metadata
end

local function load_safetensors(path)
  local reader <close> = runtime.io.open_safetensors(path)
  local entries, metadata = read_header(path, reader:header())
  local tensors = {}
  for _, entry in ipairs(entries) do
    tensors[entry.name] = reader:read(entry.name, entry.dtype, entry.shape, entry.first, entry.last)
  end
  return tensors, metadata
end

local function save_npy(path, tensor, metadata)
  if metadata ~= nil then fail("save: %s: only a .safetensors file has room for metadata", path) end
  if not is_tensor(tensor) then
    fail("save: %s: a .npy file holds one tensor, got %s; .safetensors holds a table of them", path,
      check.describe(tensor))
  end
  runtime.io.write_npy(path, tensor)
end

local FORMATS <const> = {
  npy = { save = save_npy, load = runtime.io.read_npy },
  safetensors = { save = save_safetensors, load = load_safetensors },
}

local function format_of(where, path)
  if type(path) ~= "string" then
    fail("%s: the path must be a string, got %s", where, check.describe(path))
  end
  local format = FORMATS[path:match "%.([^./]+)$"]
  if not format then
    fail("%s: %s: the name should end in .npy (one tensor) or .safetensors (a table of named tensors)",
      where, path)
  end
  return format
end

--- Writes tensors to a file. It is written beside its place, synced and renamed: a crash leaves the old file
-- or the new one, never a part.
-- @param path string ending in .npy or .safetensors
-- @param x for .npy a tensor; for .safetensors a table name → tensor, written in its own order when it is
--   an ordered map (as model:parameters() is), else sorted by name
-- @param metadata for .safetensors: optional table of strings, name → text
function M.save(path, x, metadata)
  format_of("save", path).save(path, x, metadata)
end

--- Reads a file of tensors. float64 numbers are rounded to the nearest float32 (kept in the double build),
-- int64 ones must fit int32.
-- @param path string ending in .npy or .safetensors
-- @return for .npy the tensor; for .safetensors a table name → tensor, and the metadata (a table of
--   strings, maybe empty)
function M.load(path)
  return format_of("load", path).load(path)
end

return M
