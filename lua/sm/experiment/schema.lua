--- What the files of a run directory hold, declared once, and checked whenever one is read: a run may be a stranger's.
-- What a later version adds to a file is left alone.
local brief = require "sm.text".brief
local fail = require "sm.fail"
local json = require "sm.json"
local shortest = require "sm.text".shortest
local sorted_keys = require "sm.ordered".sorted_keys

local M = {}

local most_steps <const> = 2 ^ 53 -- which every reader of a file can count

local function is_integer(value)
  return math.type(value) ~= nil and math.tointeger(value) ~= nil
end

local function is_number(value)
  return math.type(value) ~= nil and value - value == 0
end

local function from(least, most)
  return function(value) return value >= least and value <= most end
end

local integer <const>, number <const> = { "an integer", is_integer }, { "a number", is_number }

--- The kinds of values: in words, and how each is told; some have a range besides.
local kinds <const> = {
  string = { "a string", function(value) return type(value) == "string" end },
  boolean = { "true or false", function(value) return type(value) == "boolean" end },
  plain = { "a number, a string, true or false", function(value)
    return is_number(value) or type(value) == "string" or type(value) == "boolean"
  end },
  object = { "an object", function(value) return json.kind(value) == "object" end },
  array = { "an array", function(value) return json.kind(value) == "array" end },
  integer = integer,
  count = { "of at least 0", from(0, math.maxinteger), integer },
  step = { "from 0 to 2^53", from(0, most_steps), integer },
  number = number,
  seconds = { "of at least 0", from(0, math.huge), number },
  fraction = { "from 0 to 1", from(0, 1), number },
}

--- An object of named fields. One that is null is as if it were not there.
--- @param fields table name → kind
--- @param needed table|nil name → what is said where it is not there
local function record(fields, needed)
  return { kind = "object", fields = fields, needed = needed or {} }
end

--- An object whose names are free, or an array.
local function each(kind, of)
  return { kind = kind, each = of }
end

local check

local function check_record(where, object, of)
  for _, field in ipairs(sorted_keys(of.fields)) do
    if object[field] == json.null then object[field] = nil end
    if object[field] ~= nil then check(where, field, object[field], of.fields[field]) end
  end
  for _, field in ipairs(sorted_keys(of.needed)) do
    if object[field] == nil then fail("%s: %s", where, of.needed[field]) end
  end
end

--- What a value should be instead, in words; nil where it is of a kind.
local function wanted(value, kind)
  local words, fits, base = table.unpack(kinds[kind])
  if base and not base[2](value) then return base[1] end
  return not fits(value) and (base and base[1] .. " " .. words or words) or nil
end

--- Raises unless a value is of a kind.
--- @param where string the file, and the object within it
--- @param place string the name of the value there
--- @param of string|table a name of `kinds`, a record or each of something
function check(where, place, value, of)
  local words = wanted(value, of.kind or of)
  if words then
    fail("%s: '%s' must be %s, got %s", where, place, words,
      type(value) == "number" and shortest(value) or json.kind(value))
  elseif of.fields then
    check_record(("%s: %s"):format(where, place), value, of)
  elseif of.each then
    for _, name in ipairs(sorted_keys(value)) do check(where, ("%s.%s"):format(place, name), value[name], of.each) end
  end
end

--- Whether every number in a value is finite.
local function is_finite(value)
  if type(value) ~= "table" then return type(value) ~= "number" or is_number(value) end
  for _, inner in next, value do
    if not is_finite(inner) then return false end
  end
  return true
end

--- Raises unless every number in a value is finite, with the place of the first that is not.
local function check_finite(path, place, value)
  if type(value) == "table" then
    for _, key in ipairs(sorted_keys(value)) do check_finite(path, ("%s.%s"):format(place, key), value[key]) end
  elseif type(value) == "number" and not is_number(value) then
    fail("%s: '%s' must be a finite number", path, place:sub(2))
  end
end

--- Raises unless a table is such a record.
--- @param path string of the file, for messages
function M.check(path, object, of)
  if not is_finite(object) then check_finite(path, "", object) end
  check_record(path, object, of)
  return object
end

--- Reads a file's text, which must be a JSON object.
--- @return table
function M.decode(path, text, of)
  local object, problem = json.object(text)
  if not object then fail("%s: expected a JSON object, %s", path, problem) end
  return M.check(path, object, of)
end

-- The files ----------------------------------------------------------------------------------------------------

local git <const> = record { revision = "string", dirty = "boolean" }
local texts <const> = each("object", "string")

--- What another session of a run may have otherwise.
local session <const> = {
  convolutions = each("array", texts),
  smrun = "string", started = "string", host = "string", threads = "count", ranks = "count", cores = "count",
  instruction_set = "string", git = git,
}

local environment <const> = {
  lua = "string", real = "string", processor = "string", blas = texts, experiment = "string", variant = "string",
  file = "string", seed = "integer", drew = "boolean", data = texts, modules = texts, declaration = texts,
  loaded = texts, script = each("object", "plain"),
  continued = record({ run = "string", step = "step", checksum = "string" }, { run = "there is no 'run'",
    step = "there is no 'step'", checksum = "there is no 'checksum'" }), sessions = each("array", record(session)),
}
for field, kind in pairs(session) do environment[field] = kind end

M.environment = record(environment)

--- Of a run that later versions than 0.1.0 began.
M.later_environment = record({ data = texts, modules = texts, declaration = texts }, {
  data = "there are no checksums of its data", modules = "there is no list of its modules",
  declaration = "there is no record of what it declared",
})

M.params = record({ values = "object", defaults = "object" }, { values = "there are no values" })

--- Of a run that is to run again.
M.settings = record({ values = each("object", "plain") }, M.params.needed)

local summary <const> = {
  seed = "integer", experiment = "string", status = "string", parameters = "count", steps = "step",
  best_validation_step = "step", continued_step = "step", wall_seconds = "seconds", training_seconds = "seconds",
  median_step_ms = "seconds", tested_step = "step", tested_weights = "string", stopped = "string",
}
for _, split in ipairs { "test_", "validation_", "best_validation_" } do
  summary[split .. "accuracy"], summary[split .. "loss"] = "fraction", "number"
end

M.summary = record(summary, { seed = "there is no seed" })

M.spent = record({
  step = "step", wall_seconds = "seconds", training_seconds = "seconds", row_seconds = "seconds",
}, { wall_seconds = "there are no 'wall_seconds'", training_seconds = "there are no 'training_seconds'" })

--- A number for each class, or each pair of them, or each mistake.
local function labelled(more)
  local fields, needed = { label = "step", predicted = "step" }, {}
  for name, kind in pairs(more) do fields[name] = kind end
  for name in pairs(fields) do
    if more[name] ~= "number" and more[name] ~= "fraction" then needed[name] = ("there is no '%s'"):format(name) end
  end
  return record(fields, needed)
end

local class <const> = record({
  name = "string", examples = "step", correct = "step", predicted = "step", low = "fraction", high = "fraction",
}, { name = "there is no 'name'", examples = "there are no 'examples'", correct = "there is no 'correct'",
  predicted = "there is no 'predicted'" })

--- What sm.view.classification says, and of what. sm.experiment.classes looks whether it fits together.
M.classes = record({
  split = "string", step = "step", weights = "string", examples = "step", correct = "step", undecided = "step",
  classes = each("array", class), confusion = each("array", each("array", "step")),
  pairs = each("array", labelled { count = "step" }),
  calibration = record({ error = "fraction", confidence = "fraction", bins = each("array",
    record({ examples = "step", correct = "step", confidence = "fraction" },
      { examples = "there are no 'examples'", correct = "there is no 'correct'" })) },
    { error = "there is no 'error'", confidence = "there is no 'confidence'", bins = "there are no 'bins'" }),
  mistakes = each("array", labelled { example = "step", probability = "fraction", label_probability = "fraction",
    loss = "number", margin = "number" }),
}, { split = "there is no 'split'", step = "there is no 'step'", examples = "there are no 'examples'",
  correct = "there is no 'correct'", undecided = "there is no 'undecided'", classes = "there are no 'classes'",
  pairs = "there are no 'pairs'" })

-- What a checkpoint carries of its experiment ------------------------------------------------------------------

local part <const> = record(
  { name = "string", shape = each("array", "count"), dtype = "string", kind = "string", bytes = "boolean" },
  { shape = "there is no 'shape'", dtype = "there is no 'dtype'" })
local data_set <const> = record({
  made_by = "string", name = "string", note = "string", inputs = each("array", part), targets = each("array", part),
  classes = "count", class_names = each("array", "string"), class_names_are_bytes = "boolean", train = "count",
  validation = "count", test = "count", brightness = "fraction", columns = each("array", "plain"),
  mean = each("array", "number"), deviation = each("array", "number"),
}, {
  made_by = "there is no 'made_by'", name = "there is no 'name'", inputs = "there are no 'inputs'",
  targets = "there are no 'targets'", train = "there is no 'train'",
})
local about <const> = record {
  lacks = "string", modules = texts, sets = each("array", data_set), data = data_set, sums = texts, real = "string",
  loaded = each("array", "string"),
}
local types <const> = { real = true, uint8 = true, int32 = true }
local input_kinds <const> = { pixels = true, indices = true, numbers = true }
local most_axes <const>, most_size <const> = 7, (1 << 31) - 1 -- of an example

--- Raises unless inputs or targets of a data set can be tensors: one, or several by name.
local function check_parts(where, parts, of_inputs)
  if #parts == 0 then fail("%s: expected at least one", where) end
  local seen = {}
  for _, one in ipairs(parts) do
    if #parts > 1 and not one.name or one.name and seen[one.name] then
      fail("%s: each needs a name of its own", where)
    elseif not types[one.dtype] then
      fail("%s: expected real, uint8 or int32, got '%s'", where, brief(one.dtype))
    elseif of_inputs and not input_kinds[one.kind] then
      fail("%s: expected pixels, indices or numbers, got '%s'", where, brief(one.kind or "nothing"))
    elseif #one.shape > most_axes then
      fail("%s: an example has at most %d axes, got %d", where, most_axes, #one.shape)
    end
    for _, size in ipairs(one.shape) do
      if size > most_size then fail("%s: a size must be at most %d, got %s", where, most_size, shortest(size)) end
    end
    seen[one.name or 1] = true
  end
end

local function check_data_set(where, set)
  check_parts(where .. ": inputs", set.inputs, true)
  check_parts(where .. ": targets", set.targets)
  if set.classes and set.classes > most_size then fail("%s: 'classes' must be at most %d", where, most_size) end
end

--- Reads `about` of a checkpoint: the reason in `lacks`, or all the rest.
--- @return table
function M.decode_about(path, text)
  local found = M.decode(path, text, about)
  if found.lacks then return found end
  for _, name in ipairs { "modules", "sets", "data", "sums", "real", "loaded" } do
    if found[name] == nil then fail("%s: there is no '%s'", path, name) end
  end
  for i, set in ipairs(found.sets) do check_data_set(("%s: sets.%d"):format(path, i), set) end
  check_data_set(path .. ": data", found.data)
  return found
end

-- Checkpoints --------------------------------------------------------------------------------------------------

local validation <const> = record({
  step = "step", loss = "number", accuracy = "fraction", metrics = each("object", "number"),
}, { step = "there is no step" })

local random <const> = { seed = "integer", script_seed = "integer", transform = "count" } -- transforms came later
local streams <const> = {}
for _, name in ipairs { "seed", "general", "initialisation", "order", "dropout", "script", "script_seed" } do
  random[name], streams[name] = random[name] or "count", ("there is no '%s'"):format(name)
end
local streams_of_0_1_0 <const> = {} -- which says nothing of math.random
for name, problem in pairs(streams) do streams_of_0_1_0[name] = not name:find "^script" and problem or nil end

--- @param needed table which streams of random numbers there must be
local function numbers(needed)
  return record({
    random = record(random, needed),
    stream = record({ epoch = "step", position = "count", seed = "integer", stream = "count", offset = "count" },
      { epoch = "there is no 'epoch'", position = "there is no 'position'" }),
    optimizer = record({ steps = "step", tensors = "count", each = each("object", "step") },
      { steps = "there are no 'steps'" }),
    tally = record({ loss = "number", accuracy = "number", steps = "step", seconds = "seconds",
      figures = each("object", record({ sum = "number", steps = "step" },
        { sum = "there is no 'sum'", steps = "there are no 'steps'" })) },
      { loss = "there is no 'loss'", steps = "there are no 'steps'" }),
    validation = record { latest = validation, best = validation, waited = "step" },
    spent = record({ wall = "seconds", training = "seconds" }, { wall = "there is no 'wall'",
      training = "there is no 'training'" }),
  }, {
    random = "there is no state of the random numbers", stream = "there is no place in the data",
    optimizer = "there is no state of the optimizer", tally = "there is no tally of the steps",
  })
end

--- What the metadata of a checkpoint have as numbers.
M.numbers, M.numbers_of_0_1_0 = numbers(streams), numbers(streams_of_0_1_0)

--- The place in the data of a run that has begun with them.
M.place_in_data = record({}, { seed = "there is no 'seed'", stream = "there is no 'stream'",
  offset = "there is no 'offset'" })

return M
