--- What an experiment declares, checked at once: unknown keys, wrong types, missing parts.
local check = require "sm.check"
local fail = require "sm.fail"
local attempt = require "sm.problem".attempt
local file_names = require "sm.experiment.names"
local user_line = require "sm.place".line

local M = {}

-- The losses that have a name: the operations of these families, methods of the output, which take the target.
local losses <const> = {}
for _, family in ipairs { require "sm.ops.loss", (require "sm.ops.distance") } do
  for _, operation in ipairs(family) do losses[#losses + 1] = operation.name end
end

local declaration_keys = check.spec("experiment", {
  data = { required = true, doc = "a data set of sm.data" },
  model = { required = true, doc = "a model of sm.nn" },
  optimizer = { required = true, doc = "an optimizer of sm.optim" },
  schedule = { type = "table", required = true, doc = "how long, in what batches, and when what is done: below" },
  loss = { type = { "string", "function" }, default = "cross_entropy",
    doc = "by name, or function(output, target, input) → a tensor of one number" },
  metrics = { type = "table", default = {},
    doc = "columns of one's own: {f1 = function(output, target) … end}, \"accuracy\"" },
  views = { type = "table", default = {}, doc = "a list of views of sm.view" },
  seed = { type = "integer", default = 1, doc = "what every random number follows" },
  name = { type = "string", doc = "of the directory of its runs; by default the file's" },
})

local schedule_keys = check.spec("experiment: schedule", {
  steps = { type = "integer", required = true, min = 1, doc = "how many" },
  batch = { type = "integer", required = true, min = 1, doc = "examples in a batch" },
  evaluate = { type = "integer", default = 500, min = 1, doc = "validation and pictures every so many steps" },
  checkpoint = { type = "integer", default = 1000, min = 1, doc = "a checkpoint every so many steps" },
  log = { type = "integer", default = 100, min = 1, doc = "a row of metrics.csv every so many steps" },
  keep = { type = "integer", default = 2, min = 1, doc = "how many checkpoints are kept" },
})

--- What each part is, and the methods that tell it from any other table.
local parts = {
  data = { "a data set of sm.data", { "stream", "batches" } },
  model = { "a model of sm.nn", { "build", "parameters", "buffers", "activations" } },
  optimizer = { "an optimizer of sm.optim", { "add", "parameters", "step", "state", "restore" } },
}
local metric_names = { "accuracy" }
local view_methods = { "check", "draw" }

local function has_methods(value, methods)
  if type(value) ~= "table" then return false end
  for _, name in ipairs(methods) do
    local ok, method = attempt(function() return value[name] end) -- strict tables raise where a key is unknown
    if not ok or type(method) ~= "function" then return false end
  end
  return true
end

local function check_parts(declaration)
  for _, key in ipairs { "data", "model", "optimizer" } do
    local what, methods = table.unpack(parts[key])
    if not has_methods(declaration[key], methods) then
      fail("experiment: option '%s' must be %s, got %s%s", key, what, check.describe(declaration[key]),
        type(declaration[key]) == "function" and "; call it with its options in { }" or "")
    end
  end
end

local function check_metric(name)
  for _, known in ipairs(metric_names) do
    if name == known then return end
  end
  fail("experiment: option 'metrics': there is no \"%s\"%s (metrics: %s; others are functions: { f1 = function(output, "
    .. "target) … end })", name, check.suggest(name, metric_names), table.concat(metric_names, ", "))
end

--- @return table array of the names that were given
--- @return table array of {name=, measure=}, sorted by name: the functions that were given
local function check_metrics(metrics)
  local names, functions = {}, {}
  for key, value in check.each("experiment: option 'metrics'", metrics) do
    if math.type(key) == "integer" and type(value) == "string" then
      check_metric(value)
      names[#names + 1] = value
    elseif type(key) == "string" and key:find "^[%a_][%w_]*$" and type(value) == "function" then
      functions[#functions + 1] = { name = key, measure = value }
    else
      fail("experiment: option 'metrics' takes names and named functions, such as { \"accuracy\", f1 = function("
        .. "output, target) … end }, got %s = %s", check.word(key), check.describe(value))
    end
  end
  table.sort(functions, function(one, other) return one.name < other.name end)
  return names, functions
end

--- @return table array of the views, in the order of their positions, also where one between them is nil
local function check_views(views)
  local positions, at, list = {}, {}, {}
  for position, view in check.each("experiment: option 'views'", views) do
    if math.type(position) ~= "integer" or not has_methods(view, view_methods) then
      fail("experiment: option 'views' must be a list of views of sm.view, got %s = %s", check.word(position),
        check.describe(view))
    end
    if not file_names.is_part(view.name) then -- of its pictures' names
      fail("experiment: option 'views': the name of a view is at most %d bytes of UTF-8 without slashes and control "
        .. "characters, and does not begin with a dot, got %s", file_names.most_bytes, check.describe(view.name))
    end
    positions[#positions + 1], at[position] = position, view
  end
  table.sort(positions)
  for i, position in ipairs(positions) do list[i] = at[position] end
  return list
end

--- @param given table what the user wrote
--- @return table a new one with every default filled in, `where`, the line that declared it, and instead of `metrics`
---   their names, metric_names, and functions, metric_functions: array of {name=, measure=}
function M.declare(given)
  if type(given) ~= "table" then fail("experiment: expected a table, got %s", check.describe(given)) end
  local declaration = check.options("experiment", given, declaration_keys)
  check_parts(declaration)
  local known = type(declaration.loss) == "function"
  for _, name in ipairs(losses) do known = known or name == declaration.loss end
  if not known then
    fail("experiment: option 'loss' must be \"%s\" or a function, got %s%s", table.concat(losses, '", "'),
      check.describe(declaration.loss), check.suggest(declaration.loss, losses))
  end
  declaration.metric_names, declaration.metric_functions = check_metrics(declaration.metrics)
  declaration.views = check_views(declaration.views)
  local name = declaration.name -- of a directory, too
  if name and not name:find "^[%w_][%w_.+-]*$" then
    fail("experiment: option 'name' is letters, digits, _ . + and -, beginning with a letter, got %s",
      check.describe(name))
  end
  declaration.where = user_line()
  declaration.schedule = check.options("experiment: schedule", declaration.schedule, schedule_keys)
  return declaration
end

return M
