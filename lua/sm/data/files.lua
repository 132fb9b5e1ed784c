--- Data sets of one's own: IDX files, or tensors that are there already.
-- @module sm.data.files
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local dataset = require "sm.data.dataset"
local reach = require "sm.reach"
local split = require "sm.data.split"
local shapes = require "sm.shapes"
local transform = require "sm.data.transform"
local shape_text = require "sm.text".shape

local M = {}

local MAX_LABEL <const> = 0x7fffffff

--- Raises unless labels are 0 … classes-1, or at least 0 where there is no number of classes.
-- @param where the file or option that holds them, for the message
-- @return how many classes they make: the largest label and one
local function check_labels(where, labels, classes)
  local position, value = runtime.tensor.labels_outside(labels, 0, classes and classes - 1 or MAX_LABEL)
  if not position then return math.tointeger(value) + 1 end
  fail("%s: label %d is %d; %s", where, position, value,
    classes and ("with %d classes it must be from 0 to %d"):format(classes, classes - 1) or "it must be at least 0")
end

--- Inputs from an IDX file, of its type: images {N, height, width} becomes {N, height, width, 1}.
local function read_images(path)
  local images = runtime.io.read_idx(path)
  local shape = images.shape
  if #shape < 2 then fail("%s: images need at least two axes, got %s", path, shape_text(shape)) end
  if #shape == 3 then
    shape[4] = 1
    images = runtime.tensor.reshape(images, shape)
  end
  return images
end

local function read_labels(path)
  local labels = runtime.io.read_idx(path)
  local shape = labels.shape
  if #shape ~= 1 then fail("%s: labels have one axis, got %s", path, shape_text(shape)) end
  if labels.dtype == runtime.real then
    local position, value = runtime.tensor.labels_outside(labels, -MAX_LABEL, MAX_LABEL)
    if position then
      fail("%s: label %d is %s; labels are integers of at most %d", path, position, value, MAX_LABEL)
    end
  end
  return runtime.tensor.to(labels, "int32")
end

--- What inputs are, where it can be said: see sm.data.split.
local KIND <const> = { type = "string", choices = split.kinds,
  doc = "what inputs are: bytes to divide by 255, int32 to stay so, or numbers; by default as their type says" }
M.VALIDATION = { type = "integer", default = 0, min = 0,
  doc = "how many of the first training examples become validation" }
local CLASSES <const> = { type = "integer", min = 1, doc = "number of classes; by default as the largest label says" }

--- A split from a pair of IDX files.
-- @param classes integer or nil: labels are checked against it
-- @param kind string or nil: bytes are pixels, others numbers
-- @return the split, and how many classes its labels make
function M.read_split(images_path, labels_path, classes, kind)
  local images, labels = read_images(images_path), read_labels(labels_path)
  if #images ~= #labels then
    fail("%s holds %d images, and %s holds %d labels", images_path, #images, labels_path, #labels)
  end
  kind = kind or images.dtype == "uint8" and "pixels" or "numbers"
  split.check_kind(images_path .. ": images", images, kind)
  return split.new(images, labels, kind), check_labels(labels_path, labels, classes)
end

local IDX_OPTIONS <const> = check.spec("data.idx", {
  images = { type = "string", required = true, doc = "the file of training images" },
  labels = { type = "string", required = true, doc = "the file of their labels" },
  test_images = { type = "string", doc = "the file of test images" },
  test_labels = { type = "string", doc = "the file of their labels" },
  validation = M.VALIDATION, classes = CLASSES, kind = KIND,
  transform = transform.option "data.idx",
  name = { type = "string", default = "idx", doc = "what the data set is called" },
})

--- Raises when only one of two options that belong together is given.
local function check_pair(where, given, one, other)
  if (given[one] == nil) ~= (given[other] == nil) then
    local missing = given[one] and other or one
    fail("%s: options '%s' and '%s' go together; '%s' is missing", where, one, other, missing)
  end
end

--- data.idx { images = path, labels = path }: a data set from IDX files, compressed by gzip or not, of bytes, integers
-- or floats; labels are whole numbers. Paths are relative to the current directory.
function M.idx(given)
  local options = check.options("data.idx", given, IDX_OPTIONS)
  check_pair("data.idx", options, "test_images", "test_labels")
  for _, option in ipairs { "images", "labels", "test_images", "test_labels" } do
    options[option] = options[option] and reach.to_read(options[option])
  end
  local train, train_classes = M.read_split(options.images, options.labels, options.classes, options.kind)
  local test, test_classes = nil, 0
  if options.test_images then
    test, test_classes = M.read_split(options.test_images, options.test_labels, options.classes, options.kind)
  end
  return dataset.new { name = options.name, train = train, test = test, validation = options.validation,
                       classes = options.classes or math.max(train_classes, test_classes),
                       transform = options.transform }
end

local NAMED <const> = { "tensor", "table" }
local TENSOR_OPTIONS <const> = check.spec("data.tensors", {
  inputs = { type = NAMED, required = true, doc = "training examples {N, …}, or tensors by name" },
  targets = { type = NAMED, required = true,
    doc = "{N} of integers are labels, others stay as they are; or tensors by name" },
  test_inputs = { type = NAMED, doc = "test examples" },
  test_targets = { type = NAMED, doc = "what belongs to them" },
  validation = M.VALIDATION, classes = CLASSES,
  kind = { type = { "string", "table" }, choices = KIND.choices, doc = KIND.doc .. "; by name where they have names" },
  class_names = { type = "table", doc = "names of the classes, for pictures" },
  transform = transform.option "data.tensors",
  name = { type = "string", default = "tensors", doc = "what the data set is called" },
})

--- The tensors of an option, each with an axis of examples: one, or a table of them by name, copied.
-- @param label function of a name or nil: what messages call the option, or the tensor of that name in it
local function read_tensors(label, given)
  local function checked(x, name)
    if not runtime.tensor.is_tensor(x) then fail("%s must be a tensor, got %s", label(name), check.describe(x)) end
    if #x.shape == 0 then fail("%s needs an axis of examples", label(name)) end
    return x
  end
  if type(given) ~= "table" then return checked(given) end
  local tensors = {}
  for name, x in check.each(label(), given) do
    if type(name) ~= "string" then
      fail("%s must have tensors by name, as in { left = x, right = y }, got one at %s", label(), check.word(name))
    end
    tensors[name] = checked(x, name)
  end
  if not next(tensors) then fail("%s is an empty table", label()) end
  return tensors
end

--- Raises unless all tensors have equally many examples.
-- @param groups array of {tensors as read_tensors gives them, label}
local function check_counts(where, groups)
  local first, count
  for _, group in ipairs(groups) do
    shapes.map(group[1], function(x, name)
      local label = group[2](name)
      first, count = first or label, count or #x
      if #x ~= count then fail("%s has %d examples, %s %d", first, count, label:sub(#where + 3), #x) end
    end)
  end
end

--- The kinds of inputs that are asked for, or their usual ones: a text, or texts by name.
local function read_kinds(where, label, inputs, given)
  local named = type(given) == "table"
  if named and runtime.tensor.is_tensor(inputs) then
    fail("%s: option 'kind' must be a string, for its inputs have no names, got table", where)
  end
  for name in check.each(where .. ": option 'kind'", named and given or {}) do
    if not inputs[name] then
      fail("%s: option 'kind' names '%s', which is no input%s", where, check.word(name),
        check.suggest(check.word(name), (shapes.keys(inputs))))
    end
  end
  return shapes.map(inputs, function(x, name)
    local kind = given
    if named then kind = rawget(given, name) end
    kind = kind or split.usual_kind(x)
    split.check_kind(label(name), x, kind)
    return kind
  end)
end

--- Targets as batches have them: {N} of integers are labels, which are int32.
-- @return the targets, and how many classes a tensor of labels makes; nil where the targets are none
local function read_targets(label, targets, classes)
  local seen
  targets = shapes.map(targets, function(x, name)
    if #x.shape ~= 1 or x.dtype == runtime.real then return x end
    if x.dtype == "uint8" then x = runtime.tensor.to(x, "int32") end
    local count = check_labels(label(name), x, classes)
    if not name then seen = count end
    return x
  end)
  return targets, seen
end

--- A data set of tensors that are there.
-- @param where the public function's name, for messages
-- @param options as data.tensors takes them
-- @param label function of an option's name, and of a name in it or nil: what messages call it
function M.of_tensors(where, options, label)
  local function part(prefix)
    local function label_inputs(name) return ("%s: %s"):format(where, label(prefix .. "inputs", name)) end
    local function label_targets(name) return ("%s: %s"):format(where, label(prefix .. "targets", name)) end
    local inputs = read_tensors(label_inputs, options[prefix .. "inputs"])
    local targets = read_tensors(label_targets, options[prefix .. "targets"])
    check_counts(where, { { inputs, label_inputs }, { targets, label_targets } })
    if options.classes and not runtime.tensor.is_tensor(targets) then
      fail("%s: option 'classes' goes with one tensor of labels, and these targets have names", where)
    end
    local kinds = read_kinds(where, label_inputs, inputs, options.kind)
    local seen
    targets, seen = read_targets(label_targets, targets, options.classes)
    return split.new(inputs, targets, kinds), seen
  end
  check_pair(where, options, "test_inputs", "test_targets")
  local train, seen = part ""
  local test, test_seen
  if options.test_inputs then test, test_seen = part "test_" end
  return dataset.new { name = options.name, train = train, test = test, validation = options.validation,
                       classes = options.classes or seen and math.max(seen, test_seen or 0),
                       class_names = options.class_names, transform = options.transform }
end

--- data.tensors { inputs = tensor, targets = tensor }: a data set from tensors that are there already. Its kind is
-- "pixels" (bytes that batches divide by 255) where inputs are uint8, "indices" (which batches have as int32) where
-- they are int32, else "numbers" (whose value batches have as real), unless it is said. Inputs and targets may be
-- tables of tensors by name, { left = x, right = y }: a batch is such a table then, and the model gets it.
function M.tensors(given)
  local options = check.options("data.tensors", given, TENSOR_OPTIONS)
  return M.of_tensors("data.tensors", options, function(option, name)
    return name and ("'%s.%s'"):format(option, name) or ("'%s'"):format(option)
  end)
end

local PATHS <const> = { "string", "table" }
local NPY_OPTIONS <const> = check.spec("data.npy", check.with(TENSOR_OPTIONS, {
  inputs = { type = PATHS, required = true, doc = "the file of training examples {N, …}, or files by name" },
  targets = { type = PATHS, required = true, doc = "the file of targets: {N} of integers are labels; or by name" },
  test_inputs = { type = PATHS, doc = "the file of test examples" },
  test_targets = { type = PATHS, doc = "the file of what belongs to them" },
  transform = transform.option "data.npy",
  name = { type = "string", default = "npy", doc = "what the data set is called" },
}))

--- data.npy { inputs = PATH, targets = PATH }: a data set from files of NumPy, of which each holds one tensor; else as
-- data.tensors. Paths may be tables by name, too: { left = PATH, right = PATH }.
function M.npy(given)
  local options = check.options("data.npy", given, NPY_OPTIONS)
  local paths = {}
  for _, option in ipairs { "inputs", "targets", "test_inputs", "test_targets" } do
    paths[option] = options[option]
    if type(paths[option]) == "table" then
      local tensors = {}
      for name, path in check.each(("data.npy: option '%s'"):format(option), paths[option]) do
        if type(path) ~= "string" then
          fail("data.npy: option '%s' has paths by name, got %s at '%s'", option, check.describe(path),
            check.word(name))
        end
        tensors[name] = runtime.io.read_npy(reach.to_read(path))
      end
      options[option] = tensors
    elseif paths[option] then
      options[option] = runtime.io.read_npy(reach.to_read(paths[option]))
    end
  end
  return M.of_tensors("data.npy", options, function(option, name)
    if type(paths[option]) == "string" then return paths[option] end
    return name and paths[option][name] or ("'%s'"):format(option)
  end)
end

return M
