--- The lines that a person has typed at prompts before: $XDG_STATE_HOME/smrun/history, or ~/.local/state/smrun/history.
--- One entry a line; an entry of several lines has "\n" for their ends, and "\\" for a backslash.
-- @module sm.cli.history
local lfs = require "lfs"

local M = {}

local most <const> = 1000          -- entries that are kept
local most_bytes <const> = 1 << 20 -- of the file, at which it is made anew

--- The directory, made where it is not there; nil where there is no place for it.
local function directory()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if not state or state:sub(1, 1) ~= "/" then
    if not home or home:sub(1, 1) ~= "/" then return nil end
    lfs.mkdir(home .. "/.local")
    state = home .. "/.local/state"
  end
  lfs.mkdir(state)
  lfs.mkdir(state .. "/smrun")
  return lfs.attributes(state .. "/smrun", "mode") == "directory" and state .. "/smrun" or nil
end

local function encoded(entry)
  return (entry:gsub("\\", "\\\\"):gsub("\n", "\\n"))
end

local function decoded(line)
  return (line:gsub("\\(.)", function(c) return c == "n" and "\n" or c end))
end

--- What stands in the file, the oldest first.
local function read(path)
  if lfs.attributes(path, "mode") ~= "file" then return {} end
  local file <close> = io.open(path, "rb")
  local lines = {}
  for line in file and file:lines() or function() end do lines[#lines + 1] = line end
  return table.move(lines, math.max(1, #lines - most + 1), #lines, 1, {})
end

--- Opens the history.
--- @param terminal table sm.prompt: remember=, append=
--- @return table with add(entry)
function M.open(terminal)
  local place = directory()
  local path = place and place .. "/history"
  local last
  for _, line in ipairs(path and read(path) or {}) do
    last = decoded(line)
    terminal.remember(last)
  end
  if path and (lfs.attributes(path, "size") or 0) > most_bytes then
    local lines, new = read(path), path .. ".new"
    os.remove(new)
    if terminal.append(new, table.concat(lines, "\n") .. "\n") then os.rename(new, path) end
  end
  local self = {}

  --- Notes what was typed, unless it is the same once more.
  --- @return string|nil why it cannot be kept; said once
  function self.add(entry)
    if entry:find "^%s*$" or entry == last then return nil end
    last = entry
    terminal.remember(entry)
    if not path then return nil end
    local done, problem = terminal.append(path, encoded(entry) .. "\n")
    if done then return nil end
    path = nil
    return "what is typed is not kept: " .. problem
  end

  return self
end

return M
