--- Random changes of the examples of a training batch: `transform =` of data sets. Validation and test data never have
-- any.
--
-- The numbers come from a stream of their own, "transform" of sm.random, whose place a checkpoint keeps. A table of
-- changes takes NUMBERS of it for each example of the batch, in their order, whatever the table asks for: so what else
-- is asked for changes none of the others. core/augment.h says which of them decides what.
-- @module sm.data.transform
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local check = require "sm.check"
local fail = require "sm.fail"
local random = require "sm.random"
local shapes = require "sm.shapes"
local shape_text = require "sm.text".shape
local tensor = require "sm.tensor"

local M = {}

local NUMBERS <const> = 12
local MIXUP <const> = 8 -- the first of the two numbers that say how much of an example is kept, counted from 1
local LARGEST_SIGMA <const> = 1000

local RULES <const> = {
  shift = { type = { "real", "table" }, min = 0,
    doc = "pixels by which an image moves at most, up or down and to the sides, fractions too; or {y, x}" },
  flip = { type = { "boolean", "string" }, choices = { "horizontal", "vertical" },
    doc = "mirrors every second image by chance: true or \"horizontal\" its left and right, \"vertical\" its top and "
      .. "bottom" },
  rotation = { type = { "real", "table" }, min = 0,
    doc = "degrees by which an image turns around its centre at most, either way; or {from, to}, counter-clockwise" },
  scale = { type = { "real", "table" }, min = 0, below = 1,
    doc = "0.1 makes what is seen 0.9 to 1.1 times as large; or {from, to}" },
  elastic = { type = "table", doc = "deforms an image as Simard, Steinkraus and Platt (2003) do: below" },
  cutout = { type = "integer", min = 1, max = (1 << 31) - 1,
    doc = "the side, in pixels, of a square that is covered; a part may lie outside (DeVries and Taylor 2017)" },
  mixup = { type = "real", above = 0,
    doc = "a of the Beta(a, a) of which a share is drawn: each example and its target are mixed with the next one's in "
      .. "the batch, so that labels become rows of probabilities (Zhang et al. 2018)" },
  fill = { type = "real", default = 0, doc = "what comes from outside of an image, in the numbers of a batch" },
}

local ELASTIC <const> = {
  alpha = { type = "real", required = true, min = 0,
    doc = "how far, in pixels: displacements from -1 to 1 are smoothed and multiplied by it" },
  sigma = { type = "real", required = true, above = 0, max = LARGEST_SIGMA,
    doc = "pixels of the Gaussian that smooths the displacements; the paper's for MNIST: 4, with an alpha of 34" },
}

--- The rule of `transform` among the options of a public function, which are noted for the reference.
-- @param where its name: "data.idx"
function M.option(where)
  check.spec(where .. ": transform", RULES)
  check.spec(where .. ": transform.elastic", ELASTIC)
  return { type = { "table", "function" },
    doc = "random changes of training examples: what is below, function(x, y) return x, y end of a batch, or a list "
      .. "of these" }
end

--- The two finite numbers of an option that is a table.
-- @param words what it must be, for the message
-- @param least nil, or what neither may be below
local function pair(where, key, given, words, least)
  check.plain(where, given)
  local a, b = rawget(given, 1), rawget(given, 2)
  local fits = rawlen(given) == 2 and math.type(a) and math.type(b) and a - a == 0 and b - b == 0
  if not fits or least and (a < least or b < least) then
    local shown = {}
    for i = 1, math.min(rawlen(given), 3) do shown[i] = check.describe(rawget(given, i)) end
    fail("%s: option '%s' must be %s, got {%s}", where, key, words, table.concat(shown, ", "))
  end
  return a, b
end

--- From, to: what an option says, or as much on either side of a middle.
local function range(where, key, given, middle)
  if type(given) ~= "table" then return middle - given, middle + given end
  local low, high = pair(where, key, given, "a number or {from, to}")
  if low > high then fail("%s: option '%s' must be {from, to}, got {%s, %s}", where, key, low, high) end
  return low, high
end

--- What the kernel takes, where anything is to be done to images; nil without it.
local function rule_of(where, options)
  local rule, any = { fill = options.fill }, false
  local function set(values)
    for key, value in pairs(values) do rule[key], any = value, true end
  end
  local shift = options.shift
  if type(shift) == "table" then
    local down, right = pair(where, "shift", shift, "a number or {y, x} of at least 0", 0)
    set { down = down, right = right }
  elseif shift then
    set { down = shift, right = shift }
  end
  if options.flip then set { [options.flip == "vertical" and "flip_vertical" or "flip_horizontal"] = true } end
  if options.rotation then
    local low, high = range(where, "rotation", options.rotation, 0)
    set { least_angle = math.rad(low), most_angle = math.rad(high) }
  end
  if options.scale then
    local low, high = range(where, "scale", options.scale, 1)
    if low <= 0 then fail("%s: option 'scale' must be above 0, got {%s, %s}", where, low, high) end
    set { least_scale = low, most_scale = high }
  end
  if options.elastic then set(check.options(where .. ": option 'elastic'", options.elastic, ELASTIC)) end
  if options.cutout then set { cutout = options.cutout } end
  return any and rule or nil
end

--- Raises unless examples are such as a table of changes can change.
local function check_examples(where, changes, set)
  local inputs, targets = set.train.inputs, set.train.targets
  local single = runtime.tensor.is_tensor(inputs)
  if not single or set.dtype ~= runtime.real then
    fail("%s: a table of changes needs examples of one tensor of pixels or numbers, got %s; a function can change "
      .. "others", where, single and "indices" or "tensors by name")
  elseif changes.rule and #set.shape ~= 3 then
    fail("%s: images {height, width, channels} are needed, got examples of shape %s", where, shape_text(set.shape))
  elseif changes.mixup and not (runtime.tensor.is_tensor(targets)
    and (targets.dtype == runtime.real or #targets.shape == 1 and set.classes)) then
    fail("%s: option 'mixup' needs one tensor of targets: labels {N}, or real numbers", where)
  end
end

--- One step of a transform: what the user gave, checked.
-- @return a function, or {rule=(for the kernel, or nil), mixup=}
local function step_of(where, given, set)
  if type(given) == "function" then return given end
  local options = check.options(where, given, RULES)
  local changes = { rule = rule_of(where, options), mixup = options.mixup }
  check_examples(where, changes, set)
  return changes
end

--- @param where for messages
--- @param given a table of changes, a function, or a list of these
--- @param set a data set without its transform
--- @return a list of steps
function M.new(where, given, set)
  where = where .. ": option 'transform'"
  if type(given) == "function" or rawlen(given) == 0 then return { step_of(where, given, set) } end
  local steps = {}
  for position, step in check.each(where, given) do
    if math.type(position) ~= "integer" or type(step) ~= "table" and type(step) ~= "function" then
      fail("%s: a list of tables and functions has nothing else, got %s = %s", where, check.word(position),
        check.describe(step))
    end
  end
  for position = 1, rawlen(given) do steps[position] = step_of(where, rawget(given, position), set) end
  return steps
end

--- A number of Beta(a, a), from two of [0, 1): 1/2 + t / (2 sqrt(2a + t^2)) has that distribution where t has Student's
--- of 2a degrees of freedom, and sqrt(2a (u^(-1/a) - 1)) cos(2 pi v) has it (Bailey 1994; Devroye 1996, "Random variate
--- generation in one line of code").
local function beta(a, u, v)
  local cosine = math.cos(2 * math.pi * v)
  local square = (u ^ (-1 / a) - 1) * cosine * cosine -- t^2 / 2a
  local half = 0.5 / math.sqrt(1 + 1 / square)
  return cosine < 0 and 0.5 - half or 0.5 + half
end

--- share x + (1 - share) (the next example's x); the last one's next is the first.
local function mixed(x, share)
  local sizes = { #x }
  for axis = 2, #x.shape do sizes[axis] = 1 end
  share = share:reshape(sizes)
  return share * x + (1 - share) * x:roll(-1, 1)
end

local function mix(a, x, y, numbers, classes)
  local shares = {}
  for i, row in ipairs(numbers:totable()) do shares[i] = beta(a, row[MIXUP], row[MIXUP + 1]) end
  shares = tensor.tensor(shares)
  if y.dtype ~= runtime.real then y = runtime.index.one_hot(y, 0, classes) end
  return mixed(x, shares), mixed(y, shares)
end

local function change(changes, x, y, classes)
  local numbers, seed, stream, offset = random.draw("transform", function(...)
    return runtime.random.uniform({ #x, NUMBERS }, ...)
  end)
  if changes.rule then x = runtime.random.augment(x, numbers, seed, stream, offset, changes.rule) end
  if changes.mixup and #x > 0 then return mix(changes.mixup, x, y, numbers, classes) end
  return x, y
end

--- data.augment(x, { shift = 2, rotation = 15 }): images changed at random, as `transform` changes a batch. Two
--- versions of one picture serve contrastive learning, moved ones a test. Each call draws anew.
-- @param x real {N, height, width, channels}
-- @param given a table of changes, but for mixup
-- @return the same shape; no gradient passes
function M.augment(x, given)
  local where <const> = "data.augment"
  if not runtime.tensor.is_tensor(x) or x.dtype ~= runtime.real or #x.shape ~= 4 then
    fail("%s takes images {N, height, width, channels} of %s, got %s%s", where, runtime.real, check.describe(x),
      runtime.tensor.is_tensor(x) and " of " .. x.dtype or "")
  end
  local options = check.options(where, given, RULES)
  if options.mixup then fail("%s: option 'mixup' needs targets, which a data set's `transform` has", where) end
  return (autograd.no_grad(change, { rule = rule_of(where, options) }, x))
end

check.spec("data.augment", RULES)

--- Whether what becomes of an example is known to depend on no other one of its batch.
function M.is_by_example(steps)
  for _, step in ipairs(steps) do
    if type(step) == "function" or step.mixup then return false end
  end
  return true
end

--- Raises unless a function of the user's gave as many examples as it got.
local function check_given_back(what, f, value, count)
  local ok = shapes.is(value)
  shapes.map(ok and value, function(x) ok = ok and #x.shape > 0 and #x == count end)
  if ok then return value end
  local info = debug.getinfo(f, "S")
  fail("the function of 'transform' must return the inputs and the targets of %d examples, got %s as %s; it is defined "
    .. "at %s:%d", count, shapes.describe { n = 1, value }, what, info.short_src, info.linedefined)
end

--- @param steps as M.new gives them
--- @param count integer examples of a batch
--- @param x its inputs
--- @param y its targets
--- @param classes integer|nil how many there are
--- @return inputs and targets
function M.apply(steps, count, x, y, classes)
  return autograd.no_grad(function()
    for _, step in ipairs(steps) do
      if type(step) == "function" then
        local inputs, targets = step(x, y)
        x = check_given_back("inputs", step, inputs, count)
        y = check_given_back("targets", step, targets, count)
      else
        x, y = change(step, x, y, classes)
      end
    end
    return x, y
  end)
end

return M
