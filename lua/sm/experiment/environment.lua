--- environment.json: on what a run ran, so that a stranger can tell why two runs differ.
local runtime = require "sm.runtime"

local M = {}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- @return table|nil {revision=, dirty=} of the repository around the file; nil without one, or without git
local function repository(file)
  local pipe = io.popen(("git -C %s status --porcelain=v2 --branch --no-ahead-behind --untracked-files=no 2>/dev/null")
    :format(quote(file:match "^(.*)/" or ".")))
  local status = pipe:read "a" -- headers begin with "# "; every other line is a change
  pipe:close()
  local revision = status:match "# branch%.oid (%x+)"
  return revision and { revision = revision, dirty = status:find "\n[^#]" ~= nil }
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
