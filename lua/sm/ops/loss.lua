--- Losses. See sm.ops.shape for what a record has.
-- @module sm.ops.loss
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local compare = require "sm.ops.compare"
local fail = require "sm.fail"
local primitives = require "sm.ops.primitives"
local ranks = require "sm.ranks"

local T, L, C = runtime.tensor, runtime.loss, runtime.compare
local record, saved, tracks = autograd.record_twice, autograd.saved, autograd.tracks

local records = {}

local function define(given) records[#records + 1] = given end

local OPTIONS <const> = {
  label_smoothing = { type = "number", min = 0, max = 1, default = 0, doc = "the part of each target that is spread" },
  ignore = { type = "integer", min = -1 << 31, max = (1 << 31) - 1, doc = "a label whose rows count nowhere" },
  weight = { type = { "tensor", "table" }, doc = "{classes}, how much each counts" },
}

local DEFAULTS <const> = check.options("cross_entropy", nil, OPTIONS)

--- The shape of a loss's rows, {…, 1}, from that of its logits.
local function row_shape(logits)
  local shape = primitives.copy(logits.shape)
  shape[#shape] = 1
  return shape
end

--- What the logits of each row should say, as recorded operations: weight ((1 - smoothing) q + smoothing/classes).
-- @param target labels or probabilities
-- @return that, and {…, 1}, where rows are ignored, or nil
local function wanted(logits, target, o)
  local shape = logits.shape
  local classes = shape[#shape]
  local labels = target.dtype ~= runtime.real
  local ignored = labels and o.ignore and C.eq(target, o.ignore)
  if ignored then target = compare.where(ignored, T.full({}, 0, target.dtype), target) end
  local q = labels and runtime.index.one_hot(target, 0, classes) or target
  if o.label_smoothing > 0 then q = q * (1 - o.label_smoothing) + o.label_smoothing / classes end
  if o.weight then q = q * o.weight end
  if not ignored then return q end
  ignored = T.reshape(ignored, row_shape(logits))
  return compare.where(ignored, 0, q), ignored
end

--- The gradient of the logits, recorded; of an ignored row 0 also where the divisor is.
local function logits_gradient(gy, logits, target, divisor, o)
  local shape = logits.shape
  local t, ignored = wanted(logits, target, o)
  local each = gy / divisor
  if ignored then each = compare.where(ignored, 0, each) end
  local p = shape[#shape] == 1 and T.full(shape, 1) or logits:softmax()
  return (p * t:sum(-1, { keepdim = true }) - t) * each
end

--- The gradient of probabilities: of -sum weight (1 - smoothing) q log p, divided by the rows.
local function probability_gradient(gy, logits, divisor, o)
  local g = logits:log_softmax() * (gy * (-(1 - o.label_smoothing) / divisor))
  return o.weight and g * o.weight or g
end

define {
  name = "cross_entropy",
  doc = "logits:cross_entropy(target, {label_smoothing = 0, ignore = nil, weight = nil}): the mean softmax "
    .. "cross-entropy of logits {…, classes} and labels {…} (uint8 or int32, 0 … classes-1), or probabilities "
    .. "of the logits' shape. label_smoothing spreads so much of each target over all classes evenly. Rows with "
    .. "the label `ignore`, of any number, count nowhere; where all are ignored, the mean of nothing is NaN. "
    .. "`weight`, a list or a tensor {classes}: how much each class counts; the sum is then divided by the "
    .. "labels' weights, of probabilities by the number of rows.",
  options = OPTIONS,
  f = function(logits, target, options)
    local o = options == nil and DEFAULTS or check.options("cross_entropy", options, OPTIONS)
    local weight, smoothing, ignore = o.weight, o.label_smoothing, o.ignore
    local labels = T.is_tensor(target) and target.dtype ~= runtime.real
    if type(weight) == "table" then
      weight = T.tensor(arguments.list("cross_entropy", weight, "a list of weights"))
      o.weight = weight
    end
    if weight then
      arguments.real("cross_entropy", weight, "a tensor as the weight")
      if tracks(weight) then
        fail "cross_entropy: the weight has no gradient, and this one wants one; weight:detach() is the same without"
      end
    end
    if ignore and not labels then fail "cross_entropy: option 'ignore' goes with labels, not with probabilities" end
    local loss, log_sum, divisor, total = L.cross_entropy(logits, target, weight, smoothing, ignore)
    if ranks.now and ranks.now.call then loss, divisor = ranks.now:quotient(total, divisor) end
    return record(loss, "cross_entropy", function(gy, _, graph)
      local gx, gt
      if tracks(logits) then
        if graph then gx = logits_gradient(gy, logits, target, divisor, o)
        else gx = L.cross_entropy_backward(gy, log_sum, divisor, logits, target, weight, smoothing, ignore) end
      end
      if tracks(target) then gt = probability_gradient(gy, logits, divisor, o) end
      return gx, gt
    end, saved(logits, target, weight), logits, target)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, logits, target, o)
    o = o or {}
    local rows = primitives.copy(logits.shape)
    local classes = table.remove(rows)
    local labels = #target.shape == #rows
    local loss, divisor, smoothing = 0, 0, o.label_smoothing or 0
    new(rows, function(p)
      local from, largest, sum = primitives.copy(p), -math.huge, 0
      local function at(x, i)
        from[#rows + 1] = i
        return x:at(from)
      end
      local label = labels and target:at(p)
      if label and label == o.ignore then return 0 end
      for i = 1, classes do largest = math.max(largest, at(logits, i)) end
      for i = 1, classes do sum = sum + math.exp(at(logits, i) - largest) end
      for i = 1, classes do
        local share = label and (label + 1 == i and 1 or 0) or not label and at(target, i)
        share = (share * (1 - smoothing) + smoothing / classes) * (o.weight and o.weight[i] or 1)
        if share ~= 0 then loss = loss + share * (math.log(sum) + largest - at(logits, i)) end
      end
      divisor = divisor + (label and o.weight and o.weight[label + 1] or 1)
      return 0
    end)
    return new({}, function() return loss / divisor end)
  end,
  samples = function(s)
    local weight = { 0.5, 2, 0, 1.25, 0.75 }
    return { { s.real(3, 5), s.uint8 { 0, 4, 2 } }, { s.real(1, 3, 5), s.int32 { { 0, 4, 2 } } },
      { s.real(4), s.tensor(3, "int32") }, { s.real(2, 1), s.uint8 { 0, 0 } },
      { s.real(2, 2, 2, 3), s.uint8 { { { 0, 1 }, { 2, 2 } }, { { 1, 1 }, { 0, 2 } } }, { label_smoothing = 0.15 } },
      { s.real(4, 3), s.uint8 { 1, 255, 255, 0 }, { ignore = 255 } },
      { s.real(2, 3), s.real(2, 3):abs() + 0.1 }, { s.real(2, 2, 3), s.real(2, 2, 3) * 0.1 + 0.2,
        { label_smoothing = 0.3 } },
      { s.real(3, 5), s.uint8 { 0, 4, 2 }, { weight = weight } }, { s.real(2, 5), s.int32 { 3, 1 }, { weight = weight,
        label_smoothing = 0.1 } },
      { s.real(3, 5), s.int32 { 0, -100, 3 }, { weight = weight, ignore = -100, label_smoothing = 0.2 } },
      { s.real(2, 2, 5), s.real(2, 2, 5):softmax():detach(), { label_smoothing = 0.1, weight = weight } },
      { s.real(700, 40), s.real(700, 40):softmax():detach() } }
  end,
  refused = function(s)
    return { { "logits {2, 2} need labels of the same shape without the last axis, got {3}", s.real(2, 2), s.uint8(3) },
      { "expected labels from 0 to 1, got 2 at position 1; labels count from 0", s.real(1, 2), s.uint8 { 2 } },
      { "got -1 at position {2, 1}", s.real(2, 1, 3), s.int32 { { 0 }, { -1 } } },
      { "labels of type uint8 or int32, or probabilities of their shape", s.real(2, 2), s.real(2) },
      { "the weight must have shape {3}", s.real(2, 3), s.uint8(2), { weight = s.real(2) } },
      { "a " .. runtime.real .. " tensor", s.real(2, 3), s.uint8(2), { weight = s.uint8(3) } },
      { "wants one", s.real(2, 3), s.uint8(2), { weight = s.real(3):requires_grad() } },
      { "goes with labels", s.real(2, 3), s.real(2, 3), { ignore = 0 } },
      { "'label_smoothing' must be at least 0 and at most 1, got 2", s.real(2, 3), s.uint8(2),
        { label_smoothing = 2 } },
      { "unknown option 'ignore_index'; did you mean 'ignore'?", s.real(2, 3), s.uint8(2), { ignore_index = 1 } } }
  end,
}

return records
