--- The first things that a run keeps: its texts, and on what it runs; or where it goes on, in a new session.
local lfs = require "lfs"
local runtime = require "sm.runtime"
local borrowed = require "sm.experiment.borrowed"
local checkpoint = require "sm.experiment.checkpoint"
local continued = require "sm.experiment.continued"
local directory = require "sm.experiment.directory"
local environment = require "sm.experiment.environment"
local json = require "sm.json"
local metrics = require "sm.experiment.metrics"
local modules = require "sm.modules"
local ranks = require "sm.experiment.ranks"
local thousands = require "sm.numbers".thousands

local M = {}

--- Keeps every module beside the experiment: those that are loaded now, and those that a step may load later.
local function keep_modules(self)
  local kept, sums = modules.read(self.directory.path .. "/modules"), {}
  local recording = false
  modules.each(self.file, function(place, content)
    if kept[place] ~= content then self.directory:write("modules/" .. place, content) end
    sums[place], kept[place] = runtime.io.checksum(content), content
    if recording then self:note({ modules = sums }) end
  end)
  recording = true
  for place, content in pairs(kept) do sums[place] = runtime.io.checksum(content) end
  return sums
end

--- Keeps what the runs were that the experiment loads.
local function keep_loaded(self)
  return borrowed.keep(self.record.loaded or {}, function(loaded) self:note({ loaded = loaded }) end)
end

--- What a rank that keeps no run has of it.
local function follow(self) self.metrics, self.record = ranks.no_metrics(), {} end

--- Begins a run in its directory.
function M.begin(self, path)
  if ranks.follows(self) then return follow(self) end
  if self.replaces then
    self.directory:clear()
  elseif directory.read(path .. "/experiment.lua") then
    self.progress:say(path .. " was stopped before its first checkpoint, and begins anew")
  end
  self.directory:write("params.json", self.params)
  self.record = environment.describe(self.host.surroundings(self.file), self.ranks)
  self:note({
    experiment = self.name, variant = self.variant, seed = self.seed, continued = self.continued,
    file = self.continued and self.origin.file or directory.absolute(self.file),
    declaration = self.identity.declaration, data = self.identity.data, modules = keep_modules(self),
    drew = self.identity.drew, -- whether the file drew numbers by the seed, so that its data may differ with it
    script = self.identity.script, loaded = keep_loaded(self),
    sessions = json.array { environment.session(self.record) },
  })
  local done = self.continued and continued.copy_metrics(self) or nil
  self.directory:write("experiment.lua", self.source) -- last: from now on the directory is this run's
  self.metrics = metrics.open(path .. "/metrics.csv", self.columns, done)
  self.host.plan(self.progress, self:about(), path)
  if not self.continued then return end
  continued.say(self)
  checkpoint.save(self) -- from now on it needs the other run no more
end

--- Goes on with a run, whose numbers are put back.
function M.continue(self, path)
  if ranks.follows(self) then return follow(self) end
  self.record = directory.record(path)
  local sessions = self.record.sessions or { environment.session(self.record) }
  local original = self.record.file
  local file = original and lfs.attributes(original) and original or self.file
  sessions[#sessions + 1] = environment.session(environment.describe(self.host.surroundings(file), self.ranks))
  self.metrics = metrics.open(path .. "/metrics.csv", self.columns, self.state.step)
  self:note({ sessions = json.array(sessions), modules = keep_modules(self), loaded = keep_loaded(self) })
  self.progress:say(("%s   goes on after step %s of %s\n"):format(path, thousands(self.state.step),
    thousands(self.schedule.steps)))
end

return M
