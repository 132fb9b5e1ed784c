--- A data set: its splits, what one example looks like, and its batches.
-- @module sm.data.dataset
local check = require "sm.check"
local fail = require "sm.fail"
local split = require "sm.data.split"
local shapes = require "sm.shapes"
local stream = require "sm.data.stream"
local transform = require "sm.data.transform"

local M = {}

local dataset = {}
local class <const> = { __index = dataset }

function class:__tostring()
  return self.description
end

local WORDS <const> = { pixels = "bytes as 0 to 1", indices = "indices" }

--- What inputs are: ", bytes as 0 to 1"; where they differ ", image bytes as 0 to 1, words indices".
local function kind_text(kind)
  if type(kind) == "string" then return WORDS[kind] and ", " .. WORDS[kind] or "" end
  local names, same, parts = shapes.keys(kind), true, {}
  for i, name in ipairs(names) do
    same = same and kind[name] == kind[names[1]]
    parts[i] = WORDS[kind[name]] and (", %s %s"):format(name, WORDS[kind[name]]) or ""
  end
  return same and kind_text(kind[names[1]]) or table.concat(parts)
end

local function describe(set)
  local counts = {}
  for _, name in ipairs { "train", "validation", "test" } do
    if set[name] then counts[#counts + 1] = ("%d %s"):format(#set[name], name) end
  end
  return ("%s: %s examples of %s%s%s%s"):format(set.name, table.concat(counts, ", "), shapes.text(set.shape),
    kind_text(set.train.kind), set.classes and (", %d classes"):format(set.classes) or "",
    set.note and " (" .. set.note .. ")" or "")
end

--- The shape of one example, or shapes by name.
local function example_shape(inputs)
  return shapes.map(inputs, function(x)
    local shape = x.shape
    return table.move(shape, 2, #shape, 1, {})
  end)
end

--- Raises unless test examples are like those for training.
local function check_alike(name, train, test)
  for _, part in ipairs { "inputs", "targets" } do
    local one, other = shapes.text(example_shape(train[part])), shapes.text(example_shape(test[part]))
    if one ~= other then
      fail("%s: training %s have shape %s, test %s %s", name, part == "inputs" and "examples" or part, one,
        part == "inputs" and "examples" or part, other)
    end
  end
  if shapes.types_text(test:dtype()) ~= shapes.types_text(train:dtype()) then
    fail("%s: training examples are %s, test examples %s", name, shapes.types_text(train.kind),
      shapes.types_text(test.kind))
  end
end

--- Builds a data set out of splits; the first `validation` training examples become the validation split.
-- @param parts {name=, train=split, test=split or nil, validation=count, classes=, class_names=, note=,
--   transform=}
-- @return {name, description, shape, dtype, classes, class_names, train, validation, test, transform}: shape and dtype
--   are those of an example in a batch, by name where inputs have names; validation, test and transform may be nil
function M.new(parts)
  local count = parts.validation or 0
  local train, validation = parts.train, nil
  if count > 0 then
    if count >= #train then
      fail("%s: option 'validation' must be below the number of training examples, %d, got %d", parts.name,
        #train, count)
    end
    validation, train = train:slice(1, count), train:slice(count + 1, #train)
  end
  if parts.test then check_alike(parts.name, train, parts.test) end
  local set = setmetatable({
    name = parts.name, note = parts.note,
    shape = example_shape(train.inputs), dtype = train:dtype(),
    classes = parts.classes, class_names = parts.class_names,
    train = train, validation = validation, test = parts.test,
  }, class)
  if parts.transform then set.transform = transform.new(parts.name, parts.transform, set) end
  set.description = describe(set)
  return set
end

--- A data set of which only what it is like is known: see sm.data.stand_in.
-- @param parts its fields, but for the description
function M.without_numbers(parts)
  local set = setmetatable(parts, class)
  set.description = describe(set)
  return set
end

--- An endless stream of shuffled training batches that can be saved and restored; see sm.data.stream.
-- @param size integer, examples in a batch
function dataset:stream(size)
  return stream.new(self, split.check_size("stream", size))
end

local BATCHES_OPTIONS <const> = check.spec("set:batches", {
  epochs = { type = "number", default = 1, min = 1, doc = "how often each example comes; math.huge never ends" },
})

--- Iterates over shuffled training batches. Every epoch is shuffled anew and batches straddle epochs, so all
-- but the very last have `size` examples.
-- @param size integer, examples in a batch
-- @return iterator of x {size, …}, y {size, …}
function dataset:batches(size, options)
  size = split.check_size("batches", size)
  local epochs = check.options("batches", options, BATCHES_OPTIONS).epochs
  if epochs < math.huge and epochs % 1 ~= 0 then
    fail("batches: option 'epochs' must be an integer or math.huge, got %s", epochs)
  end
  local source, rest = stream.new(self, size), epochs * 1.0 * #self.train
  return function()
    local count = math.min(size, rest)
    if count == 0 then return nil end
    rest = rest - count
    return source:next(math.tointeger(count))
  end
end

check.public_methods(dataset, "", { "stream", "batches" }, "a data set")

return M
