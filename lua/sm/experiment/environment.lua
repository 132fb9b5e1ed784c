--- environment.json: on what a run ran, so that a stranger can tell why two runs differ.
local runtime = require "sm.runtime"
local revision = require "sm.experiment.revision"

local M = {}

local function first_match(path, pattern)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text and text:match(pattern)
end

--- What lies around a run: which machine it is, and which revision the experiment's file has.
--- @param file string the experiment file
--- @return table {git=, processor=, host=}
function M.surroundings(file)
  return {
    git = revision.of(file),
    processor = first_match("/proc/cpuinfo", "model name%s*:%s*([^\n]+)"),
    host = first_match("/proc/sys/kernel/hostname", "%S+") or first_match("/etc/hostname", "%S+"),
  }
end

--- @param surroundings table as the function above gives it
--- @param ranks table|nil {count=(processes that make the run together)}
--- @return table for JSON
function M.describe(surroundings, ranks)
  return {
    smrun = runtime.version,
    lua = _VERSION,
    real = runtime.real,
    git = surroundings.git, processor = surroundings.processor, host = surroundings.host,
    cores = runtime.system.cores(),
    threads = runtime.system.threads(),
    ranks = ranks and ranks.count,
    instruction_set = runtime.system.instruction_set,
    blas = runtime.system.blas(),
    started = os.date "!%Y-%m-%dT%H:%M:%SZ",
  }
end

local of_a_session <const> = { "started", "host", "git", "smrun", "threads", "ranks", "cores",
  "instruction_set" }

--- What may be different each time a run goes on. The first time is what the record itself says.
--- @param environment table as `describe` gives it
function M.session(environment)
  local session = {}
  for _, key in ipairs(of_a_session) do session[key] = environment[key] end
  return session
end

return M
