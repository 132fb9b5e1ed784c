--- One run: a declaration, its parts built from the seed, and the directory it fills.
local runtime = require "sm.runtime"
local beginning = require "sm.experiment.beginning"
local borrowed = require "sm.experiment.borrowed"
local check = require "sm.check"
local fail = require "sm.fail"
local random = require "sm.random"
local ranks = require "sm.experiment.ranks"
local checkpoint = require "sm.experiment.checkpoint"
local conclude = require "sm.experiment.conclude"
local continued = require "sm.experiment.continued"
local directory = require "sm.experiment.directory"
local first_steps = require "sm.experiment.first_steps"
local average = require "sm.experiment.average"
local evaluate = require "sm.experiment.evaluate"
local json = require "sm.json"
local metrics = require "sm.experiment.metrics"
local moment = require "sm.experiment.moment"
local file_names = require "sm.experiment.names"
local train = require "sm.experiment.train"
local several = require "sm.optim.several"
local picture = require "sm.data.picture"
local stand_in = require "sm.data.stand_in"
local undisturbed = require "sm.view.sample".undisturbed
local shape_text = require "sm.text".shape

local M = {}
M.__index = M

local now = runtime.system.now
local share_of_report <const> = 1 / 20 -- of a run's time, at most

--- What a run is before anything of it is built.
--- @param declaration table as declare gives it
--- @param options table {file=, source=, params=, quiet=, interrupted=}
--- @param host table the program around it, as sm.cli.host
function M.new(declaration, options, host)
  host = ranks.around(host)
  local params, optimizer = options.params, declaration.optimizer
  if not getmetatable(optimizer) then optimizer = several.new(optimizer) end
  local moment_now = {
    step = 0, training = false, model = declaration.model, optimizer = optimizer.named or optimizer,
    data = declaration.data,
  }
  return setmetatable({
    file = options.file,
    source = options.source,
    params = json.encode {
      values = params.values, defaults = params.defaults, differing = json.array(params.differing),
    },
    name = declaration.name and file_names.file_name(declaration.name) or file_names.of_file(options.file),
    variant = params.name,
    data = declaration.data,
    model = declaration.model,
    optimizer = optimizer,
    own_step = declaration.train,
    best = declaration.best,
    moment_now = moment_now, at = moment.of(moment_now), -- what the person's functions are told, see moment()
    averages = nil,                    -- of the weights; see sm.experiment.average
    loss = declaration.loss,
    objective = evaluate.objective(declaration.loss),
    metric_names = declaration.metric_names,
    metric_functions = declaration.metric_functions,
    accuracy = nil,                    -- whether it is measured; known once the model is built
    where = declaration.where,         -- "file.lua:9", the line of sm.experiment
    schedule = declaration.schedule,
    views = declaration.views,
    view_columns = {},                 -- for each view the columns that it adds to metrics.csv
    seed = declaration.seed,
    host = host,                       -- the program around it; see ranks.around
    ranks = nil,                       -- what several processes make it by; see sm.experiment.ranks
    progress = host.screen(options),
    interrupted = options.interrupted or host.interrupted,
    state = train.new_state(),         -- all numbers that a checkpoint keeps, but for those that others have
    spent = { wall = 0, training = 0, row = 0 }, -- seconds, in all processes until now; row: see train.new_state
    saved = nil,                       -- the step of the newest checkpoint
    began = now(),                     -- this process
    next_report = 0, report_pause = 0, -- the time before which none is written; seconds
  }, M)
end

--- Notes what `at` says from now on.
--- @param training boolean whether a step is being made
--- @param row table|nil this step's of metrics.csv, for a view
function M:moment(training, row)
  local at = self.moment_now
  at.step, at.training, at.row = self.state.step, training, row
  at.rows = row and function() return (metrics.rows(self.directory.path .. "/metrics.csv")) end or nil
end

--- Where each example has one label, each class needs a score.
local function check_scores(self)
  local output, classes = self.model.output_shape, self.data.classes
  if type(self.loss) == "string" and not runtime.tensor.is_tensor(self.data.train.targets) then
    fail("the loss \"%s\" takes one tensor of targets, but those of %s have names; a loss of one's own can take them: "
      .. "function(output, target, input) … end", self.loss, self.data.name)
  end
  if self.loss ~= "cross_entropy" or #self.data.train.targets.shape ~= 1 then return end
  if #output ~= 1 or math.type(output[1]) == nil then
    fail("the loss \"cross_entropy\" needs a row of scores for each example, {N, classes}, but the model gives %s; %s",
      shape_text(output, "N"), math.type(output[1]) and "nn.flatten() makes rows of images"
      or "a loss of one's own can take them: function(output, target, input) … end")
  elseif classes and output[1] < classes then
    fail("the model gives %d scores for each example, but %s has %d classes", output[1], self.data.name, classes)
  end
end

--- Decides the columns of metrics.csv, with those that the optimizer and the views add.
local function declare_columns(self)
  local declared = { { owner = "the optimizer", table.unpack(self.optimizer.telemetry_names or {}) } }
  for _, metric in ipairs(self.metric_functions) do
    if metric.name ~= "accuracy" then -- which has its column
      local owner = ("the metric '%s'"):format(metric.name)
      table.insert(declared, #declared, { owner = owner, "validation_" .. metric.name })
    end
  end
  for position, view in ipairs(self.views) do
    local names = view.metric_names and view:metric_names(self.model) or {}
    self.view_columns[position] = names
    declared[#declared + 1] = { owner = ("view '%s'"):format(view.name), table.unpack(names) }
  end
  for _, names in ipairs(self.own_step and declared or {}) do
    for _, name in ipairs(names) do
      if type(name) == "string" and name:find "^train_" then
        fail("%s cannot have the column '%s': so is called what `train` returns", names.owner, name)
      end
    end
  end
  self.columns = metrics.columns(declared)
end

--- What trains must be in the checkpoints, and something must train.
local function check_training(self, evaluating)
  local problem = first_steps.unsaved(self)
  if problem and not evaluating then error(problem, 0) end
  if problem then self.progress:say(problem .. "; here it has the value that the file gives it") end
  self.frozen = {}
  if self.own_step and #self.optimizer.groups == 0 then return end -- `train` moves what it will
  local frozen, others = first_steps.frozen(self)
  if #frozen > 0 and others == 0 then
    error(("%s: experiment: the optimizer moves no parameter of the model"):format(self.where), 0)
  end
  self.frozen = frozen
end

--- Draws the weights and the data's order from the seed; checks that the pictures can be drawn.
--- @param evaluating boolean|nil whether it is only looked at, and not trained
function M:build(evaluating)
  if self.model.input_shape and not evaluating then
    self.progress:say "The file itself built the model, whose weights are as it drew them."
  end
  random.train(self.seed)
  self.model:build(self.data.shape, self.data.dtype)
  check_scores(self)
  self.accuracy = evaluate.accuracy(self)
  if self.best and self.best.column == "validation_accuracy" and not self.accuracy
    and not evaluate.own_accuracy(self) then
    error(self.where .. ": experiment: option 'best': no accuracy is measured; metrics = { \"accuracy\" } asks for it",
      0)
  end
  for _, view in ipairs(self.views) do view:check(self.model, self.data) end
  declare_columns(self)
  if self.optimizer.optimizers then
    self.optimizer:add(self.model)
  elseif #self.optimizer.groups == 0 then -- otherwise the file has added groups of its own
    self.optimizer:add(self.model:parameters())
  end
  self.optimizer.tell = function(words)
    return ("step %d: the %s; %s"):format(self.state.step, words, checkpoint.last(self))
  end
  if self.optimizer.check_groups then self.optimizer:check_groups() end
  if self.schedule.ema then self.averages = average.new(self.model) end
  check_training(self, evaluating)
  self.stream = self.data:stream(self.schedule.batch)
  self.ranks = ranks.of(self)
end

--- Seconds since the run first began, those of earlier processes included.
function M:spent_so_far()
  local spent = self.spent
  return { wall = spent.wall + now() - self.began, training = spent.training, row = spent.row }
end

--- Enters into a row of metrics.csv what a view measures.
--- @param names table of the columns that the view has declared
local function enter(row, view, names, figures)
  local declared = {}
  for _, name in ipairs(names) do declared[name] = true end
  if type(figures) ~= "table" then
    fail("view '%s' must measure a table of numbers by name, got %s", view.name, check.describe(figures))
  end
  for name, value in next, figures do
    if not declared[name] then
      fail("view '%s' measured '%s', which is none of its metric_names%s", view.name, check.word(name),
        check.suggest(check.word(name), names))
    elseif math.type(value) == nil or value - value ~= 0 then
      fail("view '%s' must measure a finite number for the column '%s', or nothing, got %s", view.name, name,
        check.describe(value))
    end
    row[name] = value
  end
end

--- Enters into a row of metrics.csv what the views measure.
function M:measure(row)
  for position, view in ipairs(self.views) do
    local names = self.view_columns[position]
    if #names > 0 then enter(row, view, names, undisturbed(self.model, view.measure, view, self.model, self.data)) end
  end
end

--- Draws one view for this step; the newest picture, and the numbers that a view may write beside it, also lie under
--- their plain names.
local function draw(self, view, row)
  self:moment(false, row)
  local plain = "plots/" .. view.name
  local name = ("%s-%06d"):format(plain, self.state.step)
  local path = self.directory.path .. "/" .. name
  for _, extension in ipairs { ".png", ".csv" } do self.directory:check_place(name .. extension) end
  undisturbed(self.model, view.draw, view, self.model, path .. ".png", {
    step = self.state.step, validation_accuracy = row.validation_accuracy, data = self.data, row = row, at = self.at,
    logits = self.loss == "cross_entropy",
    title = self.variant == "default" and self.name or self.name .. "  " .. self.variant,
  })
  for _, extension in ipairs { ".png", ".csv" } do
    local content = directory.read(self.directory.path, name .. extension)
    if content then self.directory:write(plain .. extension, content) end
  end
end

--- Draws the views for this step.
--- @param row table|nil this step's row of metrics.csv; without one, before the first step, only those views are drawn
---   that say they show something then: view:initially(model)
function M:draw(row)
  for _, view in ipairs(self.views) do
    if row or view.initially and view:initially(self.model) then draw(self, view, row or {}) end
  end
end

--- At an evaluation: writes the report anew, but for no more of the run's time than its share. A long run has long
--- reports. At the last step the end of the run writes it.
function M:follow()
  local began = now()
  if self.state.step == self.schedule.steps or began < self.next_report then return end
  self:report()
  self.report_pause = (now() - began) / share_of_report
  self.next_report = now() + self.report_pause
end

--- Writes the report anew.
--- @param ended table|nil what keeps the run from going on, as report.page has it
function M:report(ended)
  self.host.report(self.progress, self.directory.path,
    { steps = self.schedule.steps, ended = ended, pause = self.report_pause })
end

--- What is said of the run before its first step, as sm.terminal.present has it.
function M:about()
  local schedule = self.schedule
  return {
    name = self.name, variant = self.variant, model = tostring(self.model),
    data = self.data.description or self.data.name, steps = schedule.steps, batch = schedule.batch,
    accumulate = schedule.accumulate, optimizer = self.optimizer.name, seed = self.seed,
    threads = runtime.system.threads(), frozen = self.frozen,
  }
end

--- Writes environment.json with what has changed.
function M:note(changes)
  for key, value in pairs(changes) do self.record[key] = value end
  self.directory:write("environment.json", json.encode(self.record))
end

--- Whatever happens, the screen, the signals and the log are left in order.
--- @param problem any the error that ended the run, if one did
function M:__close(problem)
  self.host.graceful(false)
  self.host.unheard(false)
  borrowed.release()
  self.progress:clear()
  if problem ~= nil then
    local message = tostring(type(problem) == "table" and problem.message or problem)
    self.progress:note("stopped: " .. message)
    if self.metrics then self:report { how = "stopped by an error", problem = message } end
  end
  self.optimizer.tell = nil
  if self.metrics then self.metrics:close() end
  if self.directory then self.directory:close() end
end

--- What can be done with a finished run. @return table {predict=(whether pictures can be told), longer=(twice the
---   steps, where a parameter called so says how many)}
local function next_of(self)
  local steps = self.schedule.steps
  local is_parameter = json.object(self.params).values.steps == steps
  return {
    predict = picture.wanted(self.described or stand_in.describe(self.data)) ~= nil
      and require "sm.experiment.predict".is_row(self.model.output_shape),
    longer = is_parameter and self.state.step == steps and 2 * steps or nil,
  }
end

--- Trains in a directory, from the beginning or from its newest checkpoint, to the end of the schedule.
--- @param path string the run directory
--- @param reason string|nil why this directory and not the first of its name, as it is said
--- @return table {directory=, and summary= or interrupted=true}
function M:pursue(path, reason)
  local run <close> = self
  self.host.unheard(true)
  self.directory = self.host.open(self.progress, path)
  if ranks.first(self, function() return directory.summary(path) ~= nil end) then
    fail("%s was finished by another process just now", path)
  end
  if reason then self.progress:say(reason) end
  if self.directory.unlocked then
    self.progress:say(("nothing keeps a second process out of %s: the file system gives no lock (%s)"):format(path,
      self.directory.unlocked))
  end
  self:build()
  local say = function(line) self.progress:say(line) end
  if ranks.restore(self, path, say) then
    beginning.continue(self, path)
  else
    local lost = not (ranks.follows(self) or self.replaces or self.continued) and directory.record(path).continued
    if lost then
      fail("%s was to go on from %s, and was stopped before its first checkpoint; `smrun resume` that run again with "
        .. "the same parameters", path, lost.run)
    end
    train.check_fresh(self)
    if self.continued then continued.take_over(self) end
    beginning.begin(self, path)
  end
  if self.ranks then self.ranks:check_weights(self) end
  self.host.graceful(true)
  if train.train(run) == "interrupted" then
    self:report { how = "interrupted" }
    self.host.interrupted_run(self.progress, { step = self.state.step, steps = self.schedule.steps }, path)
    return { interrupted = true, directory = path }
  end
  local summary = ranks.first(self, function() return conclude(run, path) end)
  local pictures = #self.views > 0 or self.classes_drawn == true
  self.host.finished(self.progress, { summary = summary, pictures = pictures, next = next_of(self) }, path)
  return { directory = path, summary = summary }
end

return M
