--- Shell commands that a signal to this program ends, together with all that they have started.
-- @module sm.data.shell
local M = {}

local found, host = pcall(require, "sm.host") -- only smrun has it; a signal ends a plain Lua at once

--- A word that the shell takes as it is.
function M.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

--- What the command writes to standard output, and whether it succeeded; a reason when it took too long.
local function run(command, seconds)
  if found then
    local output, outcome = host.gather({ "/bin/sh", "-c", command }, seconds)
    if outcome == "late" then output = ("it took longer than %d seconds"):format(seconds) end
    return output, outcome == "done"
  end
  local pipe = io.popen(command)
  return pipe:read "a", pipe:close() == true
end

--- The directories of PATH that begin at the root: what lies in the current directory, or in one that a command goes
--- into, is no program.
local function programs()
  local list = {}
  for directory in (os.getenv "PATH" or "/usr/bin:/bin"):gmatch "[^:]+" do
    if directory:sub(1, 1) == "/" then list[#list + 1] = directory end
  end
  return table.concat(list, ":")
end

--- Runs a shell command.
-- @param seconds that it may take, 0 for any number; under smrun alone
-- @param format string.format's, whose values are quoted
-- @return whether it succeeded, and what it wrote to standard output, without the last line end
function M.run(seconds, format, ...)
  local words = table.pack(...)
  for i = 1, words.n do words[i] = M.quote(words[i]) end
  local command = ("PATH=%s; export PATH; "):format(M.quote(programs())) .. format:format(table.unpack(words))
  local output, success = run(command, seconds)
  return success, (output:gsub("%s+$", ""))
end

return M
