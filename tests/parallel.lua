--- Commands that run some at once.
local M = {}

--- Runs a command and returns its output, both streams, and whether it exited with 0.
function M.run(command)
  local pipe <close> = assert(io.popen(("{ %s; } 2>&1"):format(command)))
  local output = pipe:read "a"
  return output, (pipe:close())
end

local function take(path)
  local file <close> = assert(io.open(path))
  os.remove(path)
  return file:read "a"
end

--- How many run at once: JOBS of the environment, else one for each processor.
local function jobs()
  return tonumber(os.getenv "JOBS" or M.run "nproc") or 1
end

--- Runs each task's `command` and hands what it wrote to stdout and stderr, whether it exited with 0, and the seconds
--- that it took to the task's `judge`, in the order in which they end.
--- @param tasks table array of { command =, judge = function(task, output, errors, success, seconds) }
function M.each(tasks)
  local ends <const> = os.tmpname() -- a named pipe, which gets a line at each end
  os.remove(ends)
  assert(os.execute(("mkfifo '%s'"):format(ends)))
  local pipe <close> = assert(io.open(ends, "r+"))
  local running, begun, free = {}, 0, jobs()
  local function begin()
    begun, free = begun + 1, free - 1
    local output, errors = os.tmpname(), os.tmpname()
    local process = assert(io.popen(("{ %s; } >'%s' 2>'%s'; echo %d $? >'%s'"):format(tasks[begun].command, output,
      errors, begun, ends)))
    running[begun] = { process = process, output = output, errors = errors, since = os.time() }
  end
  for _ = 1, #tasks do
    while free > 0 and begun < #tasks do begin() end
    local number, status = pipe:read("n", "n")
    local one <const>, task <const> = running[number], tasks[number]
    free, running[number] = free + 1, nil
    one.process:close()
    task:judge(take(one.output), take(one.errors), status == 0, os.time() - one.since)
  end
  os.remove(ends)
end

return M
