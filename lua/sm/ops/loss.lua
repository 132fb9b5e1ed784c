--- Losses. See sm.ops.shape for what a record has.
-- @module sm.ops.loss
local runtime = require "sm.runtime"
local autograd = require "sm.autograd"

local T, S = runtime.tensor, runtime.softmax
local record, saved = autograd.record_twice, autograd.saved

local records = {}

local function define(given) records[#records + 1] = given end

define {
  name = "cross_entropy",
  doc = "logits:cross_entropy(labels): the mean softmax cross-entropy of logits {…, classes} and labels {…} (uint8 or "
    .. "int32, 0 … classes-1).",
  f = function(logits, labels)
    local loss, log_sum = S.cross_entropy(logits, labels)
    return record(loss, "cross_entropy", function(gy, _, graph)
      if not graph then return S.cross_entropy_backward(gy, log_sum, logits, labels) end
      local shape = logits.shape
      local classes = shape[#shape]
      local p = classes == 1 and T.full(shape, 1) or logits:softmax()
      return (p - runtime.index.one_hot(labels, 0, classes)) * (gy / math.max(1, T.count(labels)))
    end, saved(logits, labels), logits)
  end,
  twice = true,
  dtypes = "real",
  special = false,
  reference = function(new, logits, labels)
    local shape = table.move(labels.shape, 1, #labels.shape, 1, {})
    local loss, classes, rows = 0, logits.shape[#logits.shape], #labels
    new(shape, function(p)
      local from, largest, sum = table.move(p, 1, #p, 1, {}), -math.huge, 0
      local function logit(i)
        from[#shape + 1] = i
        return logits:at(from)
      end
      for i = 1, classes do largest = math.max(largest, logit(i)) end
      for i = 1, classes do sum = sum + math.exp(logit(i) - largest) end
      loss = loss + math.log(sum) + largest - logit(labels:at(p) + 1)
      return 0
    end)
    return new({}, function() return loss / rows end)
  end,
  samples = function(s)
    return { { s.real(3, 5), s.uint8 { 0, 4, 2 } }, { s.real(1, 3, 5), s.int32 { { 0, 4, 2 } } },
      { s.real(4), s.tensor(3, "int32") }, { s.real(2, 1), s.uint8 { 0, 0 } } }
  end,
  refused = function(s)
    return { { "logits {2, 2} need labels of the same shape without the last axis, got {3}", s.real(2, 2), s.uint8(3) },
      { "labels count from 0", s.real(1, 2), s.uint8 { 2 } },
      { "labels of type uint8 or int32", s.real(2, 2), s.real(2) } }
  end,
}

return records
