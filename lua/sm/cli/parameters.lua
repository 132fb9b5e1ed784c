--- The parameters that an experiment's file declares. The file may be a stranger's: so its text runs confined, until it
--- has called sm.params and no further, for a moment and in little memory, and writes nothing. What it prints is for
--- nobody, and where anything is wrong there are no parameters.
-- @module sm.cli.parameters
local host = require "sm.host"
local message = require "sm.cli.message"

local M = {}

local most_seconds <const> = 2
local most_source <const> = 1 << 20 -- bytes of a file
local most_told <const>, most_parameters <const> = 1 << 16, 1000 -- bytes of what the worker tells, and how many
local limits <const> = { memory = 512 << 20, cpu = most_seconds, disk = 0 }

local kinds <const> = { string = true, number = true, boolean = true }

--- What the worker tells, which may be forged.
--- @param bytes string a message
--- @return table|nil name → default
function M.read(bytes)
  if #bytes > most_told then return nil end
  local told = message.decode(bytes)
  local declared = type(told) == "table" and told.declared
  if type(declared) ~= "table" then return nil end
  local count = 0
  for name, default in next, declared do
    count = count + 1
    if count > most_parameters or type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or not kinds[type(default)]
    then
      return nil
    end
  end
  return declared
end

--- What the worker is to do.
local function work(path, source)
  local permits = require "sm.cli.permits".of({ file = path, runs = "runs" }, {})
  return {
    what = "parameters", options = { words = { path } }, source = source, called = "smrun",
    read = permits.read, write = {}, places = permits.places, limits = limits, threads = 1,
    columns = 80,
  }
end

--- @param path string of a Lua file
--- @return table|nil name → default: a string, a number or a boolean; nil where the file declares none
function M.of(path)
  if require "lfs".attributes(path, "mode") ~= "file" then return nil end -- a pipe is read once
  local file <close> = io.open(path, "rb")
  local source = file and file:read(most_source + 1)
  if not source or #source > most_source or not source:find("params", 1, true) then return nil end
  local worker, declared = host.worker(), nil
  worker:limit { seconds = most_seconds, bytes = 0, files = 0, directories = {} }
  local told = pcall(worker.send, worker, message.encode(work(path, source)))
  while told do
    local kind, bytes = worker:next(most_seconds)
    if kind == "message" then declared = M.read(bytes) end
    if kind ~= "output" and kind ~= "errors" and kind ~= "noise" then break end
  end
  worker:kill()
  return declared
end

return M
