--- The runs that the file at hand has loaded (sm.load_run): what they were is part of what its own runs are, as its
--- data are.
local fail = require "sm.fail"

local M = {}

local noted = {} -- path → text: the step, and a checksum of all that the run is
local keeper     -- function(path, text): hears of every one once a run keeps them

--- Before a file is loaded.
function M.begin()
  noted, keeper = {}, nil
end

--- For `local scope <close> = …`: while the text of another run is loaded, and loads some of its own.
function M.scope()
  local own, own_keeper = noted, keeper
  M.begin()
  return setmetatable({}, { __close = function() noted, keeper = own, own_keeper end })
end

--- Notes that the file has loaded a run.
function M.note(path, text)
  noted[path] = text
  if keeper then keeper(path, text) end
end

--- What the file has loaded so far. @return table path → text
function M.noted()
  local copy = {}
  for path, text in pairs(noted) do copy[path] = text end
  return copy
end

--- Why what has been loaded is not what a run had, by whatever path; those that it loads later are not known yet.
--- @param record table path → text, of environment.json
--- @param loaded table the same, of now
--- @return string|nil path of one that differs
function M.difference(record, loaded)
  local known = {}
  for _, text in pairs(record) do known[text] = true end
  for path, text in pairs(loaded) do
    if record[path] ~= text and (record[path] or not known[text]) then return path end
  end
end

--- Keeps what is loaded now, and what a step may load later, which must be what it was.
--- @param record table path → text, of the run so far; what is new is entered
--- @param write function(record)
--- @return table record
function M.keep(record, write)
  for path, text in pairs(noted) do record[path] = text end
  keeper = function(path, text)
    if record[path] == text then return end
    if record[path] then
      fail("the run %s that this one loads has changed: it was of %s, and is of %s", path, record[path], text)
    end
    record[path] = text
    write(record)
  end
  return record
end

--- Once a run is over: what the file loads from now on is none of its own.
function M.release()
  keeper = nil
end

return M
