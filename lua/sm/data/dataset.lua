--- A data set: its splits, what one example looks like, and its batches.
-- @module sm.data.dataset
local check = require "sm.check"
local fail = require "sm.fail"
local split = require "sm.data.split"
local stream = require "sm.data.stream"
local shape_text = require "sm.text".shape

local M = {}

local dataset = {}
dataset.__index = dataset

function dataset:__tostring()
  return self.description
end

local WORDS <const> = { pixels = ", bytes as 0 to 1", indices = ", indices", numbers = "" }

local function describe(set)
  local counts = {}
  for _, name in ipairs { "train", "validation", "test" } do
    if set[name] then counts[#counts + 1] = ("%d %s"):format(#set[name], name) end
  end
  return ("%s: %s examples of %s%s%s%s"):format(set.name, table.concat(counts, ", "), shape_text(set.shape),
    WORDS[set.train.kind], set.classes and (", %d classes"):format(set.classes) or "",
    set.note and " (" .. set.note .. ")" or "")
end

--- The shape of one example.
local function example_shape(inputs)
  local shape = inputs.shape
  return table.move(shape, 2, #shape, 1, {})
end

--- Builds a data set out of splits; the first `validation` training examples become the validation split.
-- @param parts {name=, train=split, test=split or nil, validation=count, classes=, class_names=, note=}
-- @return {name, description, shape, dtype, classes, class_names, train, validation, test}: shape and dtype are those
--   of an example in a batch; validation and test may be nil
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
  local shape = example_shape(train.inputs)
  if parts.test and shape_text(example_shape(parts.test.inputs)) ~= shape_text(shape) then
    fail("%s: training examples have shape %s, test examples %s", parts.name, shape_text(shape),
      shape_text(example_shape(parts.test.inputs)))
  elseif parts.test and parts.test:dtype() ~= train:dtype() then
    fail("%s: training examples are %s, test examples %s", parts.name, train.kind, parts.test.kind)
  end
  local set = setmetatable({
    name = parts.name, note = parts.note,
    shape = shape, dtype = train:dtype(), classes = parts.classes, class_names = parts.class_names,
    train = train, validation = validation, test = parts.test,
  }, dataset)
  set.description = describe(set)
  return set
end

--- An endless stream of shuffled training batches that can be saved and restored; see sm.data.stream.
-- @param size integer, examples in a batch
function dataset:stream(size)
  return stream.new(self.train, split.check_size("stream", size))
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
  local source, rest = stream.new(self.train, size), epochs * 1.0 * #self.train
  return function()
    local count = math.min(size, rest)
    if count == 0 then return nil end
    rest = rest - count
    return source:next(math.tointeger(count))
  end
end

function dataset:__tostring()
  return self.description
end

check.public_methods(dataset, "", { "stream", "batches" }, "a data set")

return M
