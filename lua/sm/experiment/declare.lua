--- What an experiment declares, checked at once: unknown keys, wrong types, missing parts.
local check = require "sm.check"
local fail = require "sm.fail"
local attempt = require "sm.problem".attempt
local best = require "sm.experiment.best"
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
  optimizer = {
    doc = "an optimizer of sm.optim, or several by the name of the layer whose parameters each moves" },
  schedule = { type = "table", required = true, doc = "how long, in what batches, and when what is done: below" },
  loss = { type = { "string", "function" },
    doc = "by name, or function(output, target, input, at) → a tensor of one number; without `train` it is "
      .. "\"cross_entropy\"" },
  train = { type = "function",
    doc = "a step of one's own: function(at, batch) → numbers by name, which become columns train_NAME" },
  metrics = { type = "table", default = {}, doc = "columns of one's own: \"accuracy\", f1 = function(output, target, "
    .. "input, at) of a whole split, or { mean = function(…) } of a batch" },
  best = { type = { "string", "table" }, doc = "the column, such as \"validation_accuracy\" or { \"validation_f1\", "
    .. "mode = \"max\" }, whose best weights are kept and tested" },
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
  keep = { type = "integer", default = 2, min = 1, doc = "how many checkpoints are kept; the last two always are" },
  patience = { type = "integer", min = 1,
    doc = "ends the training after so many evaluations without a better one, as `best` says" },
  accumulate = { type = "integer", min = 1, doc = "batches whose mean gradient makes a step; 1 where nothing is said" },
  parts = { type = "integer", min = 1, max = 64, doc = "a power of two, 4 where nothing is said: the parts of a batch "
    .. "whose sums are added; as many processes at most can make a run together" },
  ema = { type = "real", above = 0, below = 1,
    doc = "the decay of an exponential moving average of the weights, which is evaluated in their place" },
})

--- What each part is, and the methods that tell it from any other table.
local parts = {
  data = { "a data set of sm.data", { "stream", "batches" } },
  model = { "a model of sm.nn", { "build", "parameters", "buffers", "activations" } },
  optimizer = { "an optimizer of sm.optim", { "add", "parameters", "step", "state", "restore" } },
}
local metric_names = { "accuracy" }
local of_batches = check.spec("experiment: metrics", {
  mean = { type = "function", required = true,
    doc = "function(output, target, input, at) of a batch; the mean over the examples of a split" },
})
local view_methods = { "check", "draw" }
local kept_names <const> = { -- of sm.experiment.classes
  ["test-confusion"] = true, ["test-mistakes"] = true, ["validation-confusion"] = true, ["validation-mistakes"] = true,
}

local function has_methods(value, methods)
  if type(value) ~= "table" then return false end
  for _, name in ipairs(methods) do
    local ok, method = attempt(function() return value[name] end) -- strict tables raise where a key is unknown
    if not ok or type(method) ~= "function" then return false end
  end
  return true
end

local function check_part(key, value, place)
  local what, methods = table.unpack(parts[key])
  if has_methods(value, methods) then return end
  local hint = ""
  if type(value) == "function" then
    hint = "; call it with its options in { }"
  elseif key == "model" and type(value) == "table" and has_methods(select(2, next(value)), methods) then
    hint = "; several networks are one layer that holds them: nn.layer { layers = …, forward = … }"
  end
  fail("experiment: option '%s' must be %s, got %s%s", place or key, what, check.describe(value), hint)
end

--- One optimizer, or several by name, or none where each step is the person's own.
local function check_optimizer(declaration)
  local given = declaration.optimizer
  if given == nil and declaration.train then given = {} end
  local several = type(given) == "table" and getmetatable(given) == nil
  local count = 0
  for name, optimizer in check.each("experiment: option 'optimizer'", several and given or {}) do
    count = count + 1
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
      fail("experiment: several optimizers are given by name, optimizer = { generator = optim.adam { … }, "
        .. "critic = … }, got %s = %s", check.word(name), check.describe(optimizer))
    end
    check_part("optimizer", optimizer, "optimizer." .. name)
  end
  if not several or count == 0 and not declaration.train then check_part("optimizer", given) end
  return given
end

--- What goes together, and what does not.
local function check_together(declaration)
  local schedule = declaration.schedule
  if schedule.parts and schedule.parts & schedule.parts - 1 ~= 0 then
    fail("experiment: schedule: option 'parts' must be a power of two, got %d", schedule.parts)
  elseif declaration.train and schedule.accumulate then
    fail("experiment: schedule: option 'accumulate' is for steps down the gradient of the loss; `train` makes a step "
      .. "of its own out of one batch")
  elseif (declaration.best or schedule.patience) and not declaration.data.validation then
    fail("experiment: option '%s' compares evaluations of the validation data, and %s has none; data sets take some of "
      .. "the training examples for it: { validation = 5000 }", declaration.best and "best" or "patience",
      declaration.data.name or "the data set")
  end
  local column = declaration.best and declaration.best.column
  if column == "validation_loss" and not declaration.loss then
    fail "experiment: option 'best': there is no validation loss, as `train` is given and `loss` is not"
  elseif schedule.patience and not declaration.best and not declaration.loss then
    fail "experiment: schedule: option 'patience' needs `best`, which says what is waited for"
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
--- @return table array of {name=, measure= or mean=}, sorted by name: the functions that were given, of a whole split
---   or of a batch
local function check_metrics(metrics)
  local names, functions = {}, {}
  for key, value in check.each("experiment: option 'metrics'", metrics) do
    if math.type(key) == "integer" and type(value) == "string" then
      check_metric(value)
      names[#names + 1] = value
    elseif key == "step" then
      fail "experiment: option 'metrics': no metric is called 'step', as summary.json tells steps by that word"
    elseif type(key) == "string" and key:find "^[%a_][%w_]*$" and type(value) == "function" then
      functions[#functions + 1] = { name = key, measure = value }
    elseif type(key) == "string" and key:find "^[%a_][%w_]*$" and type(value) == "table" then
      local given = check.options(("experiment: option 'metrics': %s"):format(key), value, of_batches)
      functions[#functions + 1] = { name = key, mean = given.mean }
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
  if has_methods(views, view_methods) then
    fail("experiment: option 'views' must be a list of views of sm.view, got one view: write { … } around it")
  end
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
    if kept_names[view.name] then
      fail("experiment: option 'views': at its end a run draws a picture of this name itself, and a view has another "
        .. "one, { name = \"…\" }; got \"%s\"", view.name)
    end
    positions[#positions + 1], at[position] = position, view
  end
  table.sort(positions)
  local known = {}
  for i, position in ipairs(positions) do
    local name = at[position].name
    if known[name] then
      fail("experiment: option 'views': two views are called '%s', and one's pictures would replace the other's; give "
        .. "one another name, { name = \"…\" }", name)
    end
    list[i], known[name] = at[position], true
  end
  return list
end

--- @param given table what the user wrote
--- @return table a new one with every default filled in, `where`, the line that declared it, and instead of `metrics`
---   their names, metric_names, and functions, metric_functions
function M.declare(given)
  if type(given) ~= "table" then fail("experiment: expected a table, got %s", check.describe(given)) end
  local declaration = check.options("experiment", given, declaration_keys)
  check_part("data", declaration.data)
  check_part("model", declaration.model)
  declaration.optimizer = check_optimizer(declaration)
  if not declaration.train then declaration.loss = declaration.loss or "cross_entropy" end
  local known = declaration.loss == nil or type(declaration.loss) == "function"
  for _, name in ipairs(losses) do known = known or name == declaration.loss end
  if not known then
    fail("experiment: option 'loss' must be \"%s\" or a function, got %s%s", table.concat(losses, '", "'),
      check.describe(declaration.loss), check.suggest(declaration.loss, losses))
  end
  declaration.metric_names, declaration.metric_functions = check_metrics(declaration.metrics)
  declaration.best = declaration.best and best.declared(declaration.best, declaration.metric_functions)
  declaration.views = check_views(declaration.views)
  local name = declaration.name -- of a directory, too
  if name and not name:find "^[%w_][%w_.+-]*$" then
    fail("experiment: option 'name' is letters, digits, _ . + and -, beginning with a letter, got %s",
      check.describe(name))
  end
  declaration.where = user_line()
  declaration.schedule = check.options("experiment: schedule", declaration.schedule, schedule_keys)
  check_together(declaration)
  return declaration
end

return M
