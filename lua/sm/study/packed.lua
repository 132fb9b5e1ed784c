--- Records of runs as bytes, for the index. What many runs have alike, such as the text of their experiment, is a text
-- with a number; the rest is packed. What is read back may be a stranger's: it is data, and an error where it is not as
-- `pack` makes it.
local attempt = require "sm.problem".attempt
local fail = require "sm.fail"
local json = require "sm.json"
local metrics = require "sm.experiment.metrics"
local directory = require "sm.experiment.directory"
local progress = require "sm.study.progress"
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

--- What a record from an index has not of environment.json, for nothing that is said of many runs needs it.
local LEFT_OUT <const> = { blas = true, sessions = true, convolutions = true, script = true, loaded = true }
--- What environment.json says of one run of a sweep alone.
M.OWN = { started = true, variant = true, seed = true }

-- Flat tables --------------------------------------------------------------------------------------------------

local formats <const> = { integer = "i8", float = "d", string = "s4", nested = "s4", yes = "", no = "" }
local letters <const> = { integer = "i", float = "d", string = "s", nested = "n", yes = "y", no = "o" }
local kinds <const> = {}
for kind, letter in pairs(letters) do kinds[letter] = kind end

local function kind_of(value)
  if type(value) == "boolean" then return value and "yes" or "no" end
  return math.type(value) or type(value) == "string" and "string" or "nested"
end

--- A table from names to values as two texts: its shape, which is that of many, and its values.
local function pack_table(object)
  local shape, values, signs = {}, {}, {}
  for i, name in ipairs(sorted_keys(object)) do
    local value, kind = object[name], kind_of(object[name])
    signs[i], shape[i] = letters[kind], ("<s4"):pack(name)
    if kind == "nested" then value = json.encode(value) end
    if formats[kind] ~= "" then values[#values + 1] = ("<" .. formats[kind]):pack(value) end
  end
  return ("<s4"):pack(table.concat(signs)) .. table.concat(shape), table.concat(values)
end

--- What a shape says.
--- @return table {format=, names=(of what is packed), nested=(those that are JSON), flags=(name → boolean)}
local function read_shape(text)
  local signs, at = ("<s4"):unpack(text)
  local shape, parts = { names = {}, nested = {}, flags = {} }, {}
  for i = 1, #signs do
    local kind = kinds[signs:sub(i, i)] or fail "a kind of value that there is not"
    local name
    name, at = ("<s4"):unpack(text, at)
    parts[i] = formats[kind]
    if parts[i] == "" then shape.flags[name] = kind == "yes" else table.insert(shape.names, name) end
    if kind == "nested" then table.insert(shape.nested, name) end
  end
  shape.format = "<" .. table.concat(parts)
  return shape
end

local function unpack_table(shape, bytes, at)
  local values, object = { shape.format:unpack(bytes, at) }, {}
  for i, name in ipairs(shape.names) do object[name] = values[i] end
  for name, value in next, shape.flags do object[name] = value end
  for _, name in ipairs(shape.nested) do object[name] = json.decode(object[name]) end
  return object
end

-- Records ------------------------------------------------------------------------------------------------------

local NOTHING <const> = math.mininteger -- an integer that is not there
local TEXTS <const> = "<i4i4i4i4i4i4i4i4" -- the numbers of a record's texts, which stand first
local HEAD <const> = TEXTS .. "i1i8i8i8i8dI1i4i4i4i4s4"

--- Where a value stands in the head: numbers of texts, figures, and how long the packed tables behind it are.
local AT <const> = {
  source = 1, shared = 2, defaults = 3, columns = 4, values = 5, own = 6, last = 7, summary = 8, finished = 9,
  seed = 10, saved = 11, step = 12, first = 13, highest = 14, count = 15, length = 15, started = 20, rest = 21,
}

local step_formats <const>, second_formats <const> = {}, {}
for count = 0, #progress.ladder do
  step_formats[count], second_formats[count] = "<" .. ("i8"):rep(count), "<" .. ("d"):rep(count)
end

--- What environment.json has that many runs have alike, and what one has of its own.
local function split(record)
  local shared, own, told = {}, {}, false
  for name in pairs(record.values) do told = told or name ~= "seed" end
  for name, value in pairs(record.environment) do
    if M.OWN[name] then own[name] = value
    elseif not LEFT_OUT[name] and not (told and name == "declaration") then shared[name] = value end
  end
  return shared, own
end

--- @param record table as records.read gives it
--- @param number_of function(text) → the number by which this text is called
--- @return string
function M.pack(record, number_of)
  local shared, own = split(record)
  local found, tables, numbers = record.progress, {}, {}
  for i, object in ipairs { record.values, own, found.last, record.summary or {} } do
    local shape, values = pack_table(object)
    numbers[i], tables[i] = number_of(shape), values
  end
  local count = #found.steps
  return HEAD:pack(number_of(record.source), number_of(json.encode(shared)), number_of(json.encode(record.defaults)),
    number_of(table.concat(record.columns, ",")), numbers[1], numbers[2], numbers[3], numbers[4],
    record.summary and 1 or 0, record.seed or NOTHING, record.saved or NOTHING, found.step, found.first or NOTHING,
    found.highest or -1, count, #tables[1], #tables[2], #tables[3], #tables[4], record.started or "")
    .. table.concat(tables) .. step_formats[count]:pack(table.unpack(found.steps))
    .. second_formats[count]:pack(table.unpack(found.seconds))
end

--- Calls visit(number) with the numbers of a packed record's texts.
function M.each_text(bytes, visit)
  local numbers = { TEXTS:unpack(bytes) }
  for i = 1, #numbers - 1 do visit(numbers[i]) end
end

local function some(integer) return integer ~= NOTHING and integer or nil end

--- An array of numbers, and where what follows it begins.
local function unpack_array(format, count, bytes, at)
  local array = { format:unpack(bytes, at) }
  at, array[count + 1] = array[count + 1], nil
  return array, at
end

--- What the head alone says, which the first question for any part fills in.
local flat <const> = { source = true, defaults = true, columns = true, seed = true, saved = true, started = true }

local function fill_flat(record, reader)
  local head = { HEAD:unpack(record.bytes) }
  record.source, record.defaults = reader.text(head[AT.source]), reader.object(head[AT.defaults])
  record.columns = reader.list(head[AT.columns])
  record.seed, record.saved = some(head[AT.seed]), some(head[AT.saved])
  record.started = head[AT.started] ~= "" and head[AT.started] or nil
  record.head = head
end

--- Parts of a record that are unpacked where somebody asks for them: function(record, head, reader) → what it is.
local parts <const> = {}

--- The packed table of a number: 1 values, 2 own, 3 last, 4 summary.
local function table_of(record, head, reader, number)
  local at = head[AT.rest]
  for before = 1, number - 1 do at = at + head[AT.length + before] end
  return unpack_table(reader.shape(head[AT.values + number - 1]), record.bytes, at)
end

function parts.values(record, head, reader) return table_of(record, head, reader, 1) end

function parts.summary(record, head, reader)
  return head[AT.finished] == 1 and table_of(record, head, reader, 4) or nil
end

function parts.environment(record, head, reader)
  return setmetatable(table_of(record, head, reader, 2), reader.meta(head[AT.shared]))
end

function parts.name(record)
  return record.environment.experiment or record.summary and record.summary.experiment
    or (directory.names(record.path))
end

function parts.progress(record, head, reader)
  local at, count, highest = head[AT.rest], head[AT.count], head[AT.highest]
  for number = 1, 4 do at = at + head[AT.length + number] end
  local found = { step = head[AT.step], first = some(head[AT.first]), highest = highest >= 0 and highest or nil,
    last = table_of(record, head, reader, 3) }
  found.steps, at = unpack_array(step_formats[count] or fail "more rungs than the ladder has", count, record.bytes, at)
  found.seconds = unpack_array(second_formats[count], count, record.bytes, at)
  return found
end

local function fill(record, name, reader)
  if not rawget(record, "head") then fill_flat(record, reader) end
  if parts[name] then record[name] = parts[name](record, record.head, reader) end
end

--- What is not kept, but read from the run again.
local read_again <const> = {}

function read_again.text(record)
  local file <const> = record.path .. "/metrics.csv"
  return (directory.read(file) or fail("there is no %s", file)):match "^.*\n"
end

function read_again.rows(record)
  return (metrics.rows(record.path .. "/metrics.csv"))
end

--- The names in a record's environment, sorted: those of its own, and those that it shares with others.
function M.names(environment)
  local all, meta = {}, getmetatable(environment)
  for name in next, meta and meta.__index or {} do all[name] = true end
  for name in next, environment do all[name] = true end
  return sorted_keys(all)
end

--- A reader of records that share their texts.
--- @param text_of function(number) → the text of this number; raises where there is none
--- @param read function(path) → a record, for bytes that are none of one
--- @return function(path, bytes) → a record as records.read gives it, but for what is left out of its environment. Its
---   environment has by its metatable what it shares with others (see M.names). Its parts are unpacked, and `rows` and
---   `text` read, when they are asked for.
function M.reader(text_of, read)
  local objects, metas, shapes, lists, reader, lazy = {}, {}, {}, {}, { text = text_of }, {}
  function reader.object(number)
    objects[number] = objects[number] or json.object(text_of(number)) or fail "no object of JSON"
    return objects[number]
  end
  function reader.meta(number)
    metas[number] = metas[number] or { __index = reader.object(number) }
    return metas[number]
  end
  function reader.list(number)
    if not lists[number] then
      lists[number] = {}
      for name in (text_of(number) .. ","):gmatch "([^,]*)," do table.insert(lists[number], name) end
    end
    return lists[number]
  end
  function reader.shape(number)
    shapes[number] = shapes[number] or read_shape(text_of(number))
    return shapes[number]
  end
  function lazy:__index(name)
    if read_again[name] then
      self[name] = read_again[name](self)
    elseif (parts[name] or flat[name] and not rawget(self, "head")) and not rawget(self, "is_whole")
      and not attempt(fill, self, name, reader) then
      for part, value in pairs(read(self.path)) do self[part] = value end
      self.is_whole = true
    end
    return rawget(self, name)
  end
  return function(path, bytes)
    if type(bytes) ~= "string" then fail "no bytes" end
    return setmetatable({ -- with room for what will be filled in
      path = path, bytes = bytes, head = nil, source = nil, defaults = nil, columns = nil, seed = nil, saved = nil,
      started = nil, values = nil, environment = nil, name = nil, summary = nil, progress = nil,
    }, lazy)
  end
end

return M
