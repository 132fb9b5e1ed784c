--- Programs that the benchmark drives: one-off commands, and contestants that stay and answer jobs, so that
--- rounds can go from one to the next within a second.
local M = {}

--- A word of a shell command.
function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a shell command.
--- @return string what it wrote to standard output
--- @return boolean whether it exited with 0
function M.capture(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  return text, pipe:close() == true
end

--- Runs a command that has to work.
function M.must(command)
  local text, good = M.capture(command)
  if not good then error("this failed: " .. command, 0) end
  return text
end

local contestant = {}
contestant.__index = contestant

--- Starts a program that reads jobs, one a line, and answers each with a number.
--- @param name string for messages and tables
--- @param command string of the shell, without redirections; `env NAME=value …` before it sets variables
--- @return table
function M.start(name, command)
  local path = os.tmpname()
  os.remove(path)
  M.must("mkfifo " .. M.quote(path))
  local jobs = assert(io.popen(("exec %s > %s"):format(command, M.quote(path)), "w"))
  local answers = assert(io.open(path))
  os.remove(path)
  return setmetatable({ name = name, jobs = jobs, answers = answers }, contestant)
end

--- @param job string one line
--- @return number the answer
function contestant:ask(job)
  self.jobs:write(job, "\n")
  self.jobs:flush()
  local answer = self.answers:read "l"
  return tonumber(answer)
    or error(("%s answered '%s' to the job '%s'"):format(self.name, answer or "nothing", job), 0)
end

function contestant:stop()
  self.jobs:close()
  self.answers:close()
end

return M
