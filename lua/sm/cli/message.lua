--- What a supervisor and its worker write to each other: Lua values as bytes. A worker may run a stranger's file, so
--- that what comes from one is read as what may be forged.
---   z nil · t true · f false · i integer of 8 bytes · d double · s length of 4 bytes, then the bytes
---   T number of pairs in 4 bytes, then the keys and values      all little-endian
-- @module sm.cli.message
local M = {}

local deepest <const> = 32 -- tables within each other
local most_values <const> = 1000000

local pack <const>, unpack <const> = string.pack, string.unpack
local write

local function write_table(value, parts, depth)
  if depth == deepest then error("a message: tables are too deep", 0) end
  local place, count = #parts + 1, 0
  parts[place] = ""
  for key, item in next, value do
    write(key, parts, depth + 1)
    write(item, parts, depth + 1)
    count = count + 1
  end
  parts[place] = pack("<c1I4", "T", count)
end

function write(value, parts, depth)
  local kind = math.type(value) or type(value)
  if kind == "string" then parts[#parts + 1] = pack("<c1s4", "s", value)
  elseif kind == "integer" then parts[#parts + 1] = pack("<c1i8", "i", value)
  elseif kind == "float" then parts[#parts + 1] = pack("<c1d", "d", value)
  elseif kind == "boolean" then parts[#parts + 1] = value and "t" or "f"
  elseif kind == "nil" then parts[#parts + 1] = "z"
  elseif kind == "table" then write_table(value, parts, depth)
  else error("a message cannot carry a " .. kind, 0) end
end

--- @param value any nil, booleans, numbers, strings, and tables of these, whose metatables are left behind
--- @return string
function M.encode(value)
  local parts = {}
  write(value, parts, 0)
  return table.concat(parts)
end

local function refuse(at, what)
  error({ reason = ("byte %d: %s"):format(at, what) }, 0)
end

local read

local function read_table(bytes, at, state, depth)
  if depth == deepest then refuse(at, "tables are too deep") end
  local count, place = unpack("<I4", bytes, at)
  local result = {}
  for _ = 1, count do
    local key, after = read(bytes, place, state, depth + 1)
    if key == nil or key ~= key or type(key) == "table" then refuse(place, "this is no key") end
    if result[key] ~= nil then refuse(place, "a key comes twice") end
    local value, last = read(bytes, after, state, depth + 1)
    if value == nil then refuse(after, "a key without a value") end
    result[key], place = value, last
  end
  return result, place
end

local formats <const> = { i = "<i8", d = "<d", s = "<s4" }
local constants <const> = { t = true, f = false }

function read(bytes, at, state, depth)
  state.count = state.count + 1
  if state.count > most_values then refuse(at, "too many values") end
  local kind = bytes:sub(at, at)
  if formats[kind] then return unpack(formats[kind], bytes, at + 1) end
  if kind == "T" then return read_table(bytes, at + 1, state, depth) end
  if kind ~= "z" and constants[kind] == nil then refuse(at, "this is no kind of value") end
  return constants[kind], at + 1
end

--- @return any the value
--- @return string|nil what is wrong with the bytes; then the value is nil
function M.decode(bytes)
  local ok, value, after = pcall(read, bytes, 1, { count = 0 }, 0)
  if ok and after ~= #bytes + 1 then
    ok, value = false, { reason = ("byte %d: expected the end"):format(after) }
  end
  if ok then return value end
  return nil, type(value) == "table" and value.reason or "the bytes end too early"
end

return M
