--- Paths on the command line: what may have been meant by one that is not there.
local check = require "sm.check"
local lfs = require "lfs"
local usage = require "sm.usage"

local M = {}

local names_shown <const> = 8

local function directory_of(path)
  return path:match "^(.*)/[^/]*$" or "."
end

--- Names in a directory, sorted; directories end in "/". Empty where there is no such directory.
local function list(directory)
  local names = {}
  if lfs.attributes(directory, "mode") ~= "directory" then return names end
  local readable, next_name, opened = pcall(lfs.dir, directory)
  if not readable then return names end
  for name in next_name, opened do
    if name:sub(1, 1) ~= "." then
      local is_directory = lfs.attributes(directory .. "/" .. name, "mode") == "directory"
      names[#names + 1] = is_directory and name .. "/" or name
    end
  end
  table.sort(names)
  return names
end

local function enumerate(names)
  local shown = table.concat(names, ", ", 1, math.min(#names, names_shown))
  return #names > names_shown and shown .. ", …" or shown
end

--- The names of one kind in a path's directory that end so.
local function beside(path, ending)
  local names = {}
  for _, name in ipairs(list(directory_of(path))) do
    if name:sub(-#ending) == ending then names[#names + 1] = name end
  end
  return names
end

--- "; did you mean 'base.lua'?", or "" where nothing near lies beside it.
--- @param ending string ".lua" or "/": which names in the directory are of the kind that is wanted
function M.suggestion(path, ending)
  local endless = {}
  for i, name in ipairs(beside(path, ending)) do endless[i] = name:sub(1, -#ending - 1) end
  local suggestion = check.suggest(path:match "[^/]*$":gsub("%.lua$", ""), endless)
  local before = path:match "^.*/" or ""
  return (suggestion:gsub("'(.*)'", function(name) return ("'%s%s%s'"):format(before, name, ending) end))
end

--- The end of a message about a path that is not there: a close name, or else what lies beside it.
function M.hint(path, ending)
  local directory = directory_of(path)
  if lfs.attributes(directory, "mode") ~= "directory" then
    return ("; there is no directory '%s'"):format(directory)
  end
  local suggestion = M.suggestion(path, ending)
  if suggestion ~= "" then return suggestion end
  local names = beside(path, ending)
  return #names > 0 and ("; '%s' has %s"):format(directory, enumerate(names)) or ""
end

--- What a path is; nil where nothing is there. Raises where the system does not tell.
local function mode_of(path)
  local mode, reason = lfs.attributes(path, "mode"), nil
  if not mode then mode, reason = require "sm.experiment.directory".mode(path) end
  if reason then usage.fail("%s", reason) end
  return mode
end

--- Raises unless there is a file to run.
function M.check_file(path)
  local mode = mode_of(path)
  if not mode then usage.fail("no such file '%s'%s", path, M.hint(path, ".lua")) end
  if mode == "directory" then
    local bare = path:gsub("(.)/+$", "%1")
    if not require "sm.experiment.directory".problem(bare) then
      usage.fail("'%s' is a run, expected a Lua file; `smrun eval` and `smrun resume` take it", path)
    elseif bare:find "^runs/[^/]+$" or bare == "runs" then
      usage.fail("'%s' is a directory of runs, expected a Lua file; `smrun compare` and `smrun report` take it", path)
    end
    local files = {}
    for _, name in ipairs(list(path)) do
      if name:find "%.lua$" then files[#files + 1] = name end
    end
    usage.fail("'%s' is a directory, expected a Lua file%s", path,
      #files > 0 and "; it has " .. enumerate(files) or "")
  end
end

--- Raises unless there is a directory that an option may grant; one to write into is made.
--- @param option string "read" or "write"
function M.check_directory(path, option)
  if path == "" then usage.fail("option '--%s' must be a directory, got ''", option) end
  local mode = mode_of(path)
  if not mode and option == "write" and mode_of(directory_of((path:gsub("(.)/+$", "%1")))) == "directory" then
    local made, reason = lfs.mkdir(path)
    if not made then usage.fail("cannot make the directory '%s' (--write): %s", path, reason) end
    mode = "directory"
  end
  if not mode then usage.fail("no such directory '%s' (--%s)%s", path, option, M.hint(path, "/")) end
  if mode ~= "directory" then usage.fail("'%s' is not a directory (--%s)", path, option) end
end

--- The directory of the runs of an experiment that was named in its place: width or width.lua for runs/width.
--- @return string|nil
local function runs_below(word)
  local name = word:match "([^/]*)/*$":gsub("%.lua$", "")
  local directory = "runs/" .. name
  local is_other = name ~= "" and not word:find "^runs/"
  if is_other and lfs.attributes(directory, "mode") == "directory" then return directory end
end

--- What may have been meant, for a message: "; did you mean 'runs/width'?"
local function meant(word)
  local below = runs_below(word)
  return below and ("; did you mean '%s'?"):format(below) or ""
end

--- The run directories that words name: each one itself, or a directory that has some below. Raises where one has none,
--- unless a part of it cannot be searched and others have some.
--- @return table array of paths
--- @return table array of {path=, reason=}: directories and links that cannot be searched
--- @return table path → its stamp, for the index
function M.runs(words)
  local records = require "sm.study.records"
  local found, unread, stamps, first = {}, {}, {}, nil
  for _, word in ipairs(words) do
    local mode = lfs.attributes(word, "mode")
    if not mode then
      usage.fail("no such run directory '%s'%s", word, runs_below(word) and meant(word) or M.hint(word, "/"))
    end
    local before = #unread
    if mode ~= "directory" or records.find(word, found, unread, stamps) == 0 then
      if #unread == before then usage.fail("there is no run in '%s'%s", word, meant(word)) end
      first = first or word
    end
  end
  if #found == 0 then
    usage.fail("there is no run in '%s'; %s: %s", first or words[1], unread[1].path, unread[1].reason)
  end
  return found, unread, stamps
end

--- The runs of an experiment that was named in place of one of them, for a message: "; 'runs/width' has default/".
function M.below(word)
  local below = runs_below(word)
  return below and ("; '%s' has %s"):format(below, enumerate(list(below))) or ""
end

--- Raises unless there is a run directory.
function M.check_run(directory)
  local problem, found = require "sm.experiment.directory".problem(directory)
  if not problem then return end
  local names, hint = list(directory), ""
  local is_directory = lfs.attributes(directory, "mode") == "directory"
  local below = not is_directory and M.below(directory) or ""
  if below ~= "" then hint = below
  elseif found == "nothing" then hint = M.hint(directory, "/")
  elseif found and #names > 0 then hint = "; found " .. enumerate(names)
  elseif found and is_directory then hint = "; it is empty" end
  usage.fail("%s%s", problem, hint)
end

return M
