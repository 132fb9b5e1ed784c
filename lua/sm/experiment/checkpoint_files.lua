--- Which checkpoints a run directory has; what is in them is sm.experiment.checkpoint's. Needs nothing of the numeric
--- libraries.
local directory_of = require "sm.experiment.directory"
local json = require "sm.json"
local runtime = require "sm.runtime"

local M = {}

local remove <const> = runtime.io.beneath.remove -- what cannot be removed stays
local fewest <const> = 2 -- are kept, whatever is asked for: the newest may turn out to be damaged

--- The place of a checkpoint beneath the run directory.
function M.name(step)
  return ("checkpoints/step-%06d.safetensors"):format(step)
end

function M.path(directory, step)
  return directory .. "/" .. M.name(step)
end

--- The steps that have a checkpoint, newest first; temporary files of a killed run do not count, nor does what no run
--- would call so.
function M.steps(directory)
  local steps = {}
  for name in pairs(directory_of.list(directory, "checkpoints")) do
    local step = math.tointeger(tonumber(name:match "^step%-(%d+)%.safetensors$"))
    if step and "checkpoints/" .. name == M.name(step) then steps[#steps + 1] = step end
  end
  table.sort(steps, function(a, b) return a > b end)
  return steps
end

--- Deletes all but the newest few up to a step, and what a killed run left half written. Later ones could not be read,
--- and are left alone.
function M.prune(directory, keep, last)
  local count = 0
  for _, step in ipairs(M.steps(directory)) do
    if step <= last then count = count + 1 end
    if count > math.max(keep, fewest) then remove(directory, M.name(step)) end
  end
  for name in pairs(directory_of.list(directory, "checkpoints")) do
    if name:find "^%.step%-.*%.tmp%-" or name:find "^%.best%..*%.tmp%-" then
      remove(directory, "checkpoints/" .. name)
    end
  end
end

--- A run is finished: its summary also has the time that it took.
function M.finish(directory, summary)
  directory_of.write_in(directory, "summary.json", json.encode(summary))
  remove(directory, "spent.json")
end

return M
