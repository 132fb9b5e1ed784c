--- Data sets of one's own: IDX files, or tensors that are there already.
-- @module sm.data.files
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local dataset = require "sm.data.dataset"
local split = require "sm.data.split"
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
local VALIDATION <const> = { type = "integer", default = 0, min = 0,
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
  validation = VALIDATION, classes = CLASSES, kind = KIND,
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
  local train, train_classes = M.read_split(options.images, options.labels, options.classes, options.kind)
  local test, test_classes = nil, 0
  if options.test_images then
    test, test_classes = M.read_split(options.test_images, options.test_labels, options.classes, options.kind)
  end
  return dataset.new { name = options.name, train = train, test = test, validation = options.validation,
                       classes = options.classes or math.max(train_classes, test_classes) }
end

local TENSOR_OPTIONS <const> = check.spec("data.tensors", {
  inputs = { type = "tensor", required = true, doc = "training examples {N, …}" },
  targets = { type = "tensor", required = true, doc = "{N} of integers are labels, others stay as they are" },
  test_inputs = { type = "tensor", doc = "test examples" },
  test_targets = { type = "tensor", doc = "what belongs to them" },
  validation = VALIDATION, classes = CLASSES, kind = KIND,
  class_names = { type = "table", doc = "names of the classes, for pictures" },
  name = { type = "string", default = "tensors", doc = "what the data set is called" },
})

--- A split from the options whose names begin with `prefix`, and how many classes its labels make (nil when
-- the targets are no labels); nil without inputs.
local function tensor_split(prefix, options)
  local inputs, targets = options[prefix .. "inputs"], options[prefix .. "targets"]
  if not inputs then return nil end
  if #inputs.shape == 0 or #targets.shape == 0 then
    fail("data.tensors: '%sinputs' and '%stargets' need an axis of examples", prefix, prefix)
  end
  local kind = options.kind or split.usual_kind(inputs)
  split.check_kind(("data.tensors: '%sinputs'"):format(prefix), inputs, kind)
  if #inputs ~= #targets then
    fail("data.tensors: '%sinputs' has %d examples, '%stargets' %d", prefix, #inputs, prefix, #targets)
  end
  if #targets.shape ~= 1 or targets.dtype == runtime.real then return split.new(inputs, targets, kind) end
  if targets.dtype == "uint8" then targets = runtime.tensor.to(targets, "int32") end
  local where = ("data.tensors: '%stargets'"):format(prefix)
  return split.new(inputs, targets, kind), check_labels(where, targets, options.classes)
end

--- data.tensors { inputs = tensor, targets = tensor }: a data set from tensors that are there already. Its kind is
-- "pixels" (bytes that batches divide by 255) where inputs are uint8, "indices" (which batches have as int32) where
-- they are int32, else "numbers" (whose value batches have as real), unless it is said.
function M.tensors(given)
  local options = check.options("data.tensors", given, TENSOR_OPTIONS)
  check_pair("data.tensors", options, "test_inputs", "test_targets")
  local train, train_classes = tensor_split("", options)
  local test, test_classes = tensor_split("test_", options)
  local seen = train_classes and math.max(train_classes, test_classes or 0)
  return dataset.new { name = options.name, train = train, test = test, validation = options.validation,
                       classes = options.classes or seen, class_names = options.class_names }
end

return M
