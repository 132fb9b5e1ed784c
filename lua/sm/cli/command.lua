--- A command that stands for itself: one line for a shell, which does the same wherever and whenever it is run.
-- @module sm.cli.command
local lfs = require "lfs"
local usage = require "sm.usage"

local M = {}

--- What the environment says that a result, or where data are found, depends on.
local variables <const> = { "SM_DATA", "SMRUN_CONV", "SMRUN_GEMM" }

--- The directory from which relative paths count.
function M.here()
  return lfs.currentdir() or error("the current directory has been removed; expected one to run commands from", 0)
end

--- Words as a shell reads them. Raises where they do not fit one line.
--- @param words table array
function M.joined(words)
  local quoted = {}
  for i, word in ipairs(words) do
    if word:find "[\n\r]" then
      usage.fail("a command is one line, and '%s' has a line break", word)
    end
    quoted[i] = usage.quoted(word)
  end
  return table.concat(quoted, " ")
end

--- A command of this program that is run here. It is one simple command, so that a shell can exec it, and signals reach
--- the program.
--- @param words table array, of which the first is the program
--- @return string
function M.line(words)
  local all = { "env", "-C", M.here() }
  for _, name in ipairs(variables) do
    local value = os.getenv(name)
    if value and value ~= "" then all[#all + 1] = ("%s=%s"):format(name, value) end
  end
  return M.joined(table.move(words, 1, #words, #all + 1, all))
end

return M
