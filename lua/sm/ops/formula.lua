--- Operations that are formulas: from one come the operation, in one pass forward and one back, its gradients, the
-- method of symbols, a reference, samples, and the layer of its name.
-- @module sm.ops.formula
local runtime = require "sm.runtime"
local arguments = require "sm.ops.arguments"
local check = require "sm.check"
local symbols = require "sm.ops.symbols"
local traced = require "sm.ops.traced"

local M = {}

-- f(x, …) with as many parameters as there are: sm.check.public counts them.
local WITH <const> = {
  [0] = function(f) return function(x) return f(x) end end,
  function(f) return function(x, first) return f(x, first) end end,
  function(f) return function(x, first, second) return f(x, first, second) end end,
}

--- For records: the reference that a formula is by itself, on Lua's numbers.
-- @param choose function(…) of what follows x → the expression, its numbers
local function reference(choose)
  return function(new, x, ...)
    local evaluate = require "sm.ops.evaluation".evaluate
    local expression, numbers = choose(...)
    return new(x.shape, function(p) return evaluate(expression, x:at(p), table.unpack(numbers)) end)
  end
end

local function samples_of(given)
  return function(s)
    local samples, examples = {}, given.examples or {}
    local first = given.numbers and (given.numbers[1].required or given.check) and examples[1] or {}
    for i, shape in ipairs { { 3, 7 }, {}, { 0, 2 }, { 1, 1 }, { 40, 50 } } do
      local x = s.real(table.unpack(shape))
      samples[i] = { given.domain and given.domain(x) or x, table.unpack(first) }
    end
    for _, numbers in ipairs(examples) do
      samples[#samples + 1] = { s.real(4, 5), table.unpack(numbers, 1, given.numbers and #given.numbers or 0) }
    end
    return samples
  end
end

local function refused_of(given)
  return function(s)
    local refused = { { "expected a " .. runtime.real .. " tensor", s.uint8(2) },
      { "got int32 {1}", s.int32 { 1 } } }
    if given.numbers then refused[3] = { 'argument 1 must be a number, got string "a"', s.real(2), "a" } end
    return refused
  end
end

--- The record of x:name(…), a formula of x and of numbers in their order.
-- @param given {[1]= name, [2]= what it is, [3]= function(x, …) of symbols; numbers= their rules for
--   check.options, in order, each with a name; check= function(numbers, …) that raises, which has what was given
--   behind them; domain= function that brings samples into where the formula is defined; examples= lists of numbers
--   for samples; layer= true where there is a layer of this name}
function M.record(given)
  local name, words, formula, numbers = given[1], given[2], given[3], given.numbers or {}
  local run, expression = traced.lazily(name, formula, 1 + #numbers)

  local function checked(...)
    local values = check.options(name, { ... }, numbers)
    if given.check then given.check(values, ...) end
    return values
  end

  symbols.add_method(name, WITH[#numbers](function(x, ...)
    if symbols.any(...) then return formula(x, ...) end
    return formula(x, table.unpack(checked(...), 1, #numbers))
  end))
  local list = {}
  for i, rule in ipairs(numbers) do
    list[i] = rule.default and ("%s = %g"):format(rule.name, rule.default) or rule.name
  end
  local layer = given.layer and {
    options = numbers,
    call = function(x, options) return run(arguments.real(name, x), table.unpack(options, 1, #numbers)) end,
    describe = function(options)
      local said = {}
      for i, rule in ipairs(numbers) do said[i] = ("%s %g"):format(rule.name, options[i]) end
      return table.concat(said, ", ")
    end,
  }
  return {
    name = name,
    doc = ("x:%s(%s): %s."):format(name, table.concat(list, ", "), words),
    options = #numbers > 0 and numbers or nil,
    f = WITH[#numbers](#numbers == 0 and function(x) return run(arguments.real(name, x)) end or function(x, ...)
      arguments.real(name, x)
      return run(x, table.unpack(checked(...), 1, #numbers))
    end),
    layer = layer,
    twice = true,
    dtypes = "real",
    reference = reference(function(...) return expression(), checked(...) end),
    samples = samples_of(given),
    refused = given.refused or refused_of(given),
  }
end

--- The record of x:name{option = "…"}, which takes one of several formulas of x.
-- @param given the same without numbers; [3]= table of formulas by words, option= the option's name, default= a word
function M.choice(given)
  local name, words, formulas, runs, expressions, choices = given[1], given[2], given[3], {}, {}, {}
  for word, formula in pairs(formulas) do
    runs[word], expressions[word] = traced.lazily(name, formula, 1)
    choices[#choices + 1] = word
  end
  table.sort(choices)
  local rules = { [given.option] = { type = "string", choices = choices, default = given.default,
    doc = "which formula is taken" } }
  local function chosen(options) return check.options(name, options, rules)[given.option] end
  symbols.add_method(name, function(x, options) return formulas[chosen(options)](x) end)
  return {
    name = name,
    doc = ("x:%s{%s = \"%s\"}: %s."):format(name, given.option, given.default, words),
    options = rules,
    f = function(x, options) return runs[chosen(options)](arguments.real(name, x)) end,
    layer = given.layer and {
      options = rules,
      call = function(x, options) return runs[options[given.option]](arguments.real(name, x)) end,
      describe = function(options)
        return options[given.option] ~= given.default and options[given.option] or ""
      end,
    },
    twice = true,
    dtypes = "real",
    reference = reference(function(options) return expressions[chosen(options)](), {} end),
    samples = function(s)
      local samples = samples_of(given)(s)
      for _, word in ipairs(choices) do samples[#samples + 1] = { s.real(4, 5), { [given.option] = word } } end
      return samples
    end,
    refused = function(s)
      local refused = refused_of(given)(s)
      refused[#refused + 1] = { "must be one of", s.real(2), { [given.option] = "nearly" } }
      return refused
    end,
  }
end

return M
