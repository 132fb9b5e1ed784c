--- environment.json: on what a run ran, so that a stranger can tell why two runs differ.
local runtime = require "sm.runtime"

local M = {}

local function first_line(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe:read "l"
  local ok = pipe:close()
  return ok and line or nil, ok
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- @return table|nil {revision=, dirty=} of the repository around the file; nil without one, or without git
local function repository(file)
  local git = "git -C " .. quote(file:match "^(.*)/" or ".") .. " "
  local revision = first_line(git .. "rev-parse HEAD")
  if not revision then return nil end
  return { revision = revision, dirty = first_line(git .. "status --porcelain --untracked-files=no") ~= nil }
end

local function processor()
  local file = io.open "/proc/cpuinfo"
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text:match "model name%s*:%s*([^\n]+)"
end

--- @param file string the experiment file
--- @return table for JSON
function M.describe(file)
  return {
    smrun = runtime.version,
    lua = _VERSION,
    real = runtime.real,
    git = repository(file),
    processor = processor(),
    cores = runtime.system.cores(),
    threads = runtime.system.threads(),
    instruction_set = runtime.system.instruction_set,
    blas = runtime.system.blas(),
    started = os.date "!%Y-%m-%dT%H:%M:%SZ",
  }
end

return M
