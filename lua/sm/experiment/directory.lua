--- Run directories: which one an experiment belongs in, and how it is kept to one process.
-- runs/<experiment>/<variant>, then <variant>-2, <variant>-3, …
local lfs = require "lfs"
local cjson = require "cjson"
local runtime = require "sm.runtime"
local fail = require "sm.fail"

local M = {}
M.__index = M

--- @return string|nil the content of a file, nil where there is none
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local content <const> = file:read "a"
  file:close()
  return content
end

--- @return table|nil what summary.json says, nil while the run is unfinished
function M.summary(path)
  local text = M.read(path .. "/summary.json")
  if not text then return nil end
  local ok, summary = pcall(cjson.decode, text)
  if not ok then fail("%s/summary.json: %s", path, summary) end
  return summary
end

--- The directory for a run.
--- @param base string runs/<experiment>/<variant>
--- @param source string the experiment's text
--- @param params string the content of params.json
--- @param again boolean|nil leave every directory that exists alone
--- @return string path
--- @return string state "new", "unfinished" or "finished"
--- @return string|nil reason why it is not the first of its name
function M.choose(base, source, params, again)
  local path, number, reason = base, 1, nil
  while true do
    if not lfs.attributes(path) then return path, "new", reason end
    if again then
      reason = ("%s is there already, and another run was asked for"):format(base)
    else
      local kept = M.read(path .. "/experiment.lua")
      if not kept then return path, "new", reason end -- a process died before it had begun
      if kept == source and M.read(path .. "/params.json") == params then
        return path, M.summary(path) and "finished" or "unfinished", reason
      end
      reason = ("%s was run from a different text of this file"):format(path)
    end
    number = number + 1
    path = base .. "-" .. number
  end
end

local function make(path)
  local parent = path:match "^(.+)/[^/]+/*$"
  if parent and not lfs.attributes(parent) then make(parent) end
  local made, reason = lfs.mkdir(path)
  if not made and lfs.attributes(path, "mode") ~= "directory" then
    fail("cannot make the directory %s: %s", path, reason)
  end
end

--- Makes the directory and keeps other processes out for as long as the handle is open: log.txt, open
--- throughout, carries the lock.
--- @return table handle with `.path` and `.log` (a file to append to)
function M.open(path)
  make(path .. "/checkpoints")
  make(path .. "/plots")
  local log, reason = io.open(path .. "/log.txt", "a")
  if not log then fail("%s", reason) end
  log:setvbuf "line"
  if not lfs.lock(log, "w") then
    log:close()
    fail("%s is being trained by another process", path)
  end
  return setmetatable({ path = path, log = log }, M)
end

--- Writes one of the run's files so that a crash leaves all of it or none.
function M:write(name, text)
  runtime.io.write_durably(self.path .. "/" .. name, text)
end

function M:close()
  self.log:close()
end

return M
