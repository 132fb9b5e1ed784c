---@meta
-- Made by `make docs` from the library's records, rules and comments; a test compares.

--- What sm.experiment declares.
---@class sm.Experiment
local Experiment = {}

--- A run as sm.load_run gives it.
---@class sm.Run
local Run = {}

--- in evaluation mode
---@type sm.Layer
Run.model = nil

--- its data set
---@type sm.Dataset
Run.data = nil

--- its parameters
---@type table<string, any>
Run.params = nil

--- of the checkpoint
---@type integer
Run.step = nil

--- where it lies
---@type string
Run.directory = nil

--- of the experiment
---@type string
Run.name = nil

--- what differs from the defaults
---@type string
Run.variant = nil

--- of a finished run; nil before
---@type table
Run.summary = nil

--- What an experiment's functions are told, as last argument.
---@class sm.Moment
local Moment = {}

--- that is being made; in an evaluation those that are done
---@type integer
Moment.step = nil

--- whether a step is being made
---@type boolean
Moment.training = nil

--- as it was declared
---@type any
Moment.model = nil

--- as it was declared
---@type any
Moment.optimizer = nil

--- as it was declared
---@type sm.Dataset
Moment.data = nil

--- of metrics.csv, where a view is drawn
---@type table<string, any>
Moment.row = nil

--- all rows until now, where a view is drawn
---@type table[]
Moment.rows = nil

---@class sm.options.experiment.run
---@field again? boolean trains anew what is finished (default: false)
---@field dry_run? boolean shows the plan, writes nothing (default: false)
---@field file string the experiment's file; in a script arg[0]
---@field interrupted? function asked at each step: whether to save and stop
---@field params? table what sm.params gave, as smrun hands it over
---@field quiet? boolean prints nothing (default: false)
---@field runs? string the directory of run directories (default: "runs")
---@field source? string its text, where that is known already

--- `experiment:run(options)`
---
--- Trains, and leaves a run directory. The same text with the same parameters is not trained twice: a finished run is
--- named, an unfinished one goes on.
---@param options? sm.options.experiment.run
---@return table # {directory=, and summary= once finished, or interrupted=true}
function Experiment:run(options) end

---@class sm.options.experiment.plan
---@field again? boolean trains anew what is finished (default: false)
---@field dry_run? boolean shows the plan, writes nothing (default: false)
---@field file string the experiment's file; in a script arg[0]
---@field interrupted? function asked at each step: whether to save and stop
---@field params? table what sm.params gave, as smrun hands it over
---@field quiet? boolean prints nothing (default: false)
---@field runs? string the directory of run directories (default: "runs")
---@field source? string its text, where that is known already

--- `experiment:plan(options)`
---
--- What `run` would do. Writes nothing; with dry_run it also builds the model, and so finds its errors.
---
--- returns: {name=, variant=, directory=, state="new", "unfinished" or "finished", steps=(to be done in all),
--- saved=(step of the newest checkpoint, 0 without one), summary=(of a finished run)}
---@param options? sm.options.experiment.plan
---@return table
function Experiment:plan(options) end

---@class sm.options.experiment.resume
---@field directory string of the run
---@field file? string the experiment's file; by default what the run kept
---@field params? table what sm.params gave, as smrun hands it over
---@field quiet? boolean prints nothing (default: false)
---@field source? string its text, where that is known already

--- `experiment:resume(options)`
---
--- Goes on with a run from its newest checkpoint; one that is finished says so.
---@param options? sm.options.experiment.resume
---@return table # as for run
function Experiment:resume(options) end

---@class sm.options.experiment.evaluate
---@field directory string of the run
---@field file? string the experiment's file; by default what the run kept
---@field params? table what sm.params gave, as smrun hands it over
---@field quiet? boolean prints nothing (default: false)
---@field source? string its text, where that is known already

--- `experiment:evaluate(options)`
---
--- Shows what a run is worth on validation and test data, by its best weights where it keeps them, else by those of
--- its newest checkpoint, and of each class how often it is right; writes nothing.
---
--- returns: {step=, validation={loss=, accuracy=, metrics=, classes=(what sm.view.classification says, or nil)},
--- test=(the same)}
---@param options? sm.options.experiment.evaluate
---@return table
function Experiment:evaluate(options) end

