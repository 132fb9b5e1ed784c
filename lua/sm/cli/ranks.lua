--- Several processes that train one run, its ranks: `mpirun -n 4 smrun --mpi FILE`. Rank 0 has the run's directory and
--- speaks to the person; the others write nothing, and print no more than an error that rank 0 does not hear of.
-- @module sm.cli.ranks
local message = require "sm.cli.message"
local program = package.loaded["sm.host"] -- nil under plain Lua, whose process is no rank
local usage = require "sm.usage"

local M = {}

local most_words <const> = 400 -- bytes of what the others are told

local mpi, place -- nil where this process is no rank

--- The module in C, which is not everywhere.
local function load_module()
  local path <const> = program.libraries .. "/sm/mpi.so"
  local loaded, module = pcall(require, "sm.mpi")
  if loaded then return module end
  if not require "lfs".attributes(path) then
    error("option '--mpi': this smrun was built without MPI; Debian's package smrun-mpi has what is missing, and "
      .. "`make` builds it where the package libopenmpi-dev is installed", 0)
  end
  error(("option '--mpi': %s cannot be loaded; the package openmpi-bin brings what it needs: %s"):format(
    path, tostring(module):match "[^\n]*"), 0)
end

--- The threads of a rank that nobody has told how many: its part of the cores that it may run on.
local function share_cores(given)
  if given.threads or not program.threads_by_default or place.sharing == 1 then return end
  local system = require "sm.runtime".system
  system.set_threads(math.max(1, system.threads() // place.sharing))
end

--- Joins the other ranks. Where the text is trusted, this process computes with them itself.
--- @param given table of the command line
function M.start(given)
  mpi = load_module()
  place = mpi.start()
  given.here = place.here
  if place.ranks & place.ranks - 1 ~= 0 then
    usage.fail("--mpi: expected 1, 2, 4, 8 … ranks, since a sum over them is a tree of pairs, got %d", place.ranks)
  end
  share_cores(given)
  if given.trust then M.join(require "sm.cli.host", require "sm.collective".join(place.memory)) end
end

--- The number of this rank, from 0; 0 also where there are no others.
function M.rank()
  return place and place.rank or 0
end

--- The descriptor of the memory by which a worker computes with the other ranks; nil where there are none.
function M.memory()
  return place and place.memory
end

--- What keeps the run from going on, in words that name the rank; nil while nothing does.
M.problem = function() return mpi and mpi.problem() end

--- What became of this rank alone, in words that name it where there are others.
function M.named(words)
  return place and place.rank == 0 and place.ranks > 1 and ("rank 0 of %d: %s"):format(place.ranks, words) or words
end

--- Before a rank tells the person of an error that ends it.
--- @return boolean whether rank 0 tells it instead
--- @return string the words to tell, which name a rank
function M.fail(words)
  if not place then return false, words end
  local heard = mpi.fail(words:sub(1, most_words))
  return heard, place.rank > 0 and (mpi.problem() or words) or words
end

--- The end of the process, which waits for the other ranks and ends them where this one has failed.
--- @return integer exit code
function M.finish(code)
  return mpi and place and mpi.finish(code) or code
end

local function nothing() end

--- Has the program around a run know of the other ranks: `host.collective` is what they compute together, as
--- sm.collective has it. Rank 0 chooses the run's directory for all, and the others leave it alone.
--- @param host table of sm.cli.host
--- @param collective table as sm.collective has it
function M.join(host, collective)
  host.collective = collective
  local choose <const> = host.place
  function host.place(wanted)
    local chosen
    if collective.rank == 0 then
      local path, state, reason, replaces, saved, summary = choose(wanted)
      chosen = { path = path, state = state, reason = reason, replaces = replaces, saved = saved, summary = summary }
    end
    chosen = message.decode(collective.broadcast(chosen and message.encode(chosen)))
    return chosen.path, chosen.state, chosen.reason, chosen.replaces, chosen.saved, chosen.summary
  end
  if collective.rank == 0 then return end
  function host.open(_, path) return require "sm.experiment.directory".attach(path) end
  for _, name in ipairs { "plan", "finished", "finished_already", "interrupted_run", "prune", "conclude", "report" } do
    host[name] = nothing
  end
end

return M
