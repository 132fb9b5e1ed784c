--- What run directories say of themselves: found, and read. A run may be a stranger's, half copied or cut short: what
-- does not read as it should is told with its file and field, and that run is left out.
local lfs = require "lfs"
local attempt = require "sm.problem".attempt
local fail = require "sm.fail"
local json = require "sm.json"
local shortest = require "sm.text".shortest
local without_line = require "sm.place".without_line
local checkpoint_files = require "sm.experiment.checkpoint_files"
local directory = require "sm.experiment.directory"
local metrics = require "sm.experiment.metrics"
local progress = require "sm.study.progress"
local schema = require "sm.experiment.schema"

local M = {}

local beneath <const> = require "sm.runtime".io.beneath

--- How many entries of directories are looked at in one search: a link may lead to all that a machine has.
M.most_entries = 300000

local deepest <const> = 8  -- levels of directories that are searched
local no_entry <const> = 2 -- ENOENT: it was there a moment ago

--- What tells a run, then what else a record is read from.
local files <const> = { "experiment.lua", "params.json", "summary.json", "environment.json", "metrics.csv",
  "checkpoints" }
local telling <const> = 2

--- What there is in directories of runs. What kind of file it is, is told when it is read.
--- @return table of each directory: bytes that stay the same as long as these files do; false where there is none
--- @return table of each: when the newest was changed, in seconds
--- @return table of each: whether it is a run's
--- @return table of each: what tells it from all others, by whatever path; false where there is none
local function stamps_of(paths)
  return beneath.stamps(paths, files, telling)
end

--- The same of one directory: four values.
function M.stamp(path)
  local stamps, newest, is_run, places = stamps_of { path }
  return stamps[1], newest[1], is_run[1], places[1]
end

-- Finding ------------------------------------------------------------------------------------------------------

--- The end of a message of the operating system: "Permission denied".
local function reason_of(message)
  return tostring(message):match "([^:]+)$":gsub("^%s+", "")
end

--- A link that leads to a directory is one to follow; one that leads nowhere is told of.
local function add_link(path, links, unread)
  local mode, problem = lfs.attributes(path, "mode")
  if mode == "directory" then
    links[#links + 1] = path
  elseif not mode then
    unread[#unread + 1] = { path = path, reason = ("the link to %s cannot be followed: %s"):format(
      lfs.symlinkattributes(path, "target") or "?", reason_of(problem)) }
  end
end

--- The directories in a directory, and the links to some, each sorted.
local function directories_in(path, walk)
  local unread = walk.unread
  local listed, iterate, handle = pcall(lfs.dir, path)
  if not listed then
    unread[#unread + 1] = { path = path, reason = "the directory cannot be read: " .. reason_of(iterate) }
    return {}, {}
  end
  local directories, links = {}, {}
  for name in iterate, handle do
    local inner = path .. "/" .. name
    walk.entries = walk.entries + 1
    if walk.entries > M.most_entries then break end
    if name:sub(1, 1) ~= "." then
      local mode, problem, code = lfs.symlinkattributes(inner, "mode")
      if mode == "directory" then
        directories[#directories + 1] = inner
      elseif mode == "link" then
        add_link(inner, links, unread)
      elseif not mode and code ~= no_entry then
        unread[#unread + 1] = { path = inner, reason = "it cannot be looked at: " .. reason_of(problem) }
      end
    end
  end
  table.sort(directories)
  table.sort(links)
  return directories, links
end

--- One walk over directories. Links are kept for later, so that a run is called by its own path where it has one here.
local function search(walk, paths, level)
  local stamps, _, is_run, places = stamps_of(paths)
  for i, path in ipairs(paths) do
    local place = places[i]
    if walk.entries > M.most_entries then return end
    if place and not walk.seen[place] then
      walk.seen[place] = true
      if is_run[i] then
        walk.count = walk.count + 1
        if not walk.found[place] then
          walk.found[place], walk.found[#walk.found + 1] = true, path
          if walk.stamps then walk.stamps[path] = stamps[i] end
        end
      elseif level < deepest then
        local directories, links = directories_in(path, walk)
        search(walk, directories, level + 1)
        for _, inner in ipairs(links) do walk.links[#walk.links + 1] = { path = inner, level = level + 1 } end
      end
    end
  end
end

--- The run directories at or below a path, through links too.
--- @param found table array of paths: those found here are appended, none is there twice
--- @param unread table|nil array of {path=, reason=}: what cannot be searched is appended
--- @param stamps table|nil path → the stamp of a run that is appended
--- @return integer how many there are here, counting those that were found before
function M.find(path, found, unread, stamps)
  local walk = { found = found, unread = unread or {}, stamps = stamps, seen = {}, links = {}, count = 0, entries = 0 }
  path = path:gsub("(.)/+$", "%1")
  search(walk, { path }, 1)
  for _, link in ipairs(walk.links) do -- which may be more with each
    search(walk, { link.path }, link.level)
  end
  if walk.entries > M.most_entries then
    walk.unread[#walk.unread + 1] = { path = path,
      reason = ("more than %d files and directories are there; not all were searched"):format(M.most_entries) }
  end
  return walk.count
end

-- Reading ------------------------------------------------------------------------------------------------------

--- A value of JSON on one line; names in alphabetical order.
--- @return string
function M.value_text(value)
  if value == json.null or value == nil then return "null" end
  if type(value) == "table" then return (json.encode(value):gsub("\n%s*", " "):gsub("%s+$", "")) end
  return shortest(value)
end

--- A file of a run that holds a JSON object.
--- @return table|nil nil where there is no such file
local function read_object(path, of)
  local text = directory.read(path)
  return text and schema.decode(path, text, of)
end

local function required(path, of)
  return read_object(path, of) or fail("there is no %s", path)
end

--- The seed of a run that is not finished: as the run recorded it, or as its parameters have it.
local function declared_seed(environment, values)
  return environment.seed or math.type(values.seed) and math.tointeger(values.seed) or nil
end

--- The step of the newest checkpoint.
local function saved_in(path)
  local listed, steps = pcall(checkpoint_files.steps, path)
  if not listed then fail("%s/checkpoints cannot be read: %s", path, reason_of(steps)) end
  return steps[1] and math.tointeger(steps[1])
end

--- Reads a run directory.
--- @param with_text boolean|nil whether the text of metrics.csv is wanted
--- @return table {path=, name=(of the experiment: as it is recorded, wherever the directory lies now), source=(its
---   text), values=(of its parameters), defaults=, seed=(nil while it is unknown), environment=, started=(or nil),
---   summary=(nil while unfinished), saved=(step of the newest checkpoint, or nil), rows=, columns=(of metrics.csv),
---   progress=(what these come to, see sm.study.progress), text=(its complete rows, as they stand)}
function M.read(path, with_text)
  local params = required(path .. "/params.json", schema.params)
  local summary = read_object(path .. "/summary.json", schema.summary) -- before the rows: they are complete with it
  local environment = required(path .. "/environment.json", schema.environment)
  if summary and environment.seed and summary.seed ~= environment.seed then
    fail("%s/summary.json: 'seed' is %s, and %d in environment.json", path, shortest(summary.seed), environment.seed)
  end
  local text = directory.read(path .. "/metrics.csv") or fail("there is no %s/metrics.csv", path)
  local rows, columns = metrics.rows(path .. "/metrics.csv", text)
  return {
    path = path,
    name = environment.experiment or summary and summary.experiment or (directory.names(path)),
    source = directory.read(path .. "/experiment.lua") or fail("there is no %s/experiment.lua", path),
    values = params.values,
    defaults = params.defaults or {},
    seed = summary and math.tointeger(summary.seed) or declared_seed(environment, params.values),
    environment = environment,
    started = environment.started,
    summary = summary,
    saved = not summary and saved_in(path) or nil,
    rows = rows,
    columns = columns,
    progress = progress.of(rows, columns),
    text = with_text and text:match "^.*\n" or nil,
  }
end

--- Reads several.
--- @param read function(path) → a record
--- @return table array of records
--- @return table array of {path=, reason=(which names files by their place in the run)} for those that cannot be read
function M.read_each(paths, read)
  local found, left_out = {}, {}
  for _, path in ipairs(paths) do
    local ok, record = attempt(read, path)
    if ok then
      found[#found + 1] = record
    else
      record = without_line(record)
      local from, to = record:find(path .. "/", 1, true)
      local reason = from and record:sub(1, from - 1) .. record:sub(to + 1) or record
      left_out[#left_out + 1] = { path = path, reason = reason }
    end
  end
  return found, left_out
end

--- Reads several from their directories.
--- @param with_text boolean|nil as M.read has it
function M.read_all(paths, with_text)
  return M.read_each(paths, function(path) return M.read(path, with_text) end)
end

return M
