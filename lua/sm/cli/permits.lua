--- What a confined experiment may read and write.
-- @module sm.cli.permits
local lfs = require "lfs"
local host = require "sm.host"
local module_files = require "sm.module_files"
local reach = require "sm.reach"
local search = require "sm.data.search"
local text = require "sm.text"

local M = {}

--- What the libraries read after they have been loaded: one another, fonts, the time zone, the processor.
local SYSTEM <const> = {
  "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.conf",
  "/etc/alternatives", "/etc/fonts", "/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/fontconfig",
  "/var/cache/fontconfig", "/usr/share/zoneinfo", "/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom",
  "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
}

--- The directories of smrun's own files: beside them may lie other modules.
local function own()
  local scripts = debug.getinfo(1, "S").source:match "^@(.*)cli/permits%.lua$"
  return { scripts, host.libraries }
end

--- What holds an experiment's file: its directory; of one that is more than anybody grants without a word, the Lua
--- files in it alone.
--- @return table array of paths from the root
--- @return string what that is, in words
local function around(file)
  if lfs.attributes(file, "mode") ~= "file" then return {}, nil end -- a pipe has nothing beside it
  local paths, words = {}, nil
  for _, directory in ipairs(module_files.beside(file)) do
    local place = reach.real(directory)
    if not reach.is_too_much(place, os.getenv "HOME") then
      paths[#paths + 1] = place
    else
      for name in lfs.dir(place) do
        local path = place .. "/" .. name
        if name:find "%.lua$" and lfs.symlinkattributes(path, "mode") == "file" then paths[#paths + 1] = path end
      end
      words = ("the Lua files in %s"):format(place)
    end
  end
  return paths, words or (file:match "^(.*)/[^/]*$" or ".") .. "/"
end

--- The file that a run was begun from, where it is still there with the text that the run has kept. What the record
--- says else is not believed: it may be a stranger's.
function M.original_of(run, record)
  local file = record.file
  if type(file) ~= "string" or lfs.attributes(file, "mode") ~= "file" then return nil end
  local there <close> = io.open(file, "rb")
  local kept = require "sm.experiment.directory".read(run, "experiment.lua")
  return there and kept and there:read(#kept + 1) == kept and file or nil
end

--- @param what table {file=, or run=(a directory) and record=(its environment.json), or checkpoint=(a file); runs=(the
---   directory of runs); further=(paths that the command names)}
--- @param options table of the command line: read=, write=
--- @return table {read=, write=, runs=(the directory of runs, which sm.load_run and sm.load read), shown=(what is read,
---   in words), places=(of data sets, as sm.data.search has it), hint=(what else a run may need, in words)}
function M.of(what, options)
  local read, words = {}, {}
  local function add(paths)
    for _, path in ipairs(paths) do read[#read + 1] = reach.real(path) end
  end
  local hint
  reach.real(what.file or what.run or what.checkpoint) -- which says so where it counts from a directory that is gone
  if what.file then
    local paths, said = around(what.file)
    add(paths)
    words[#words + 1] = said
  elseif what.checkpoint then
    add { what.checkpoint }
    words[#words + 1] = what.checkpoint
  else
    add { what.run }
    words[#words + 1] = what.run .. "/"
    local begun = type(what.record.file) == "string" and what.record.file:match "^(.*)/[^/]*$"
    hint = begun and (" (the run was begun from %s)"):format(text.visible(begun))
  end
  local mode = lfs.symlinkattributes(what.runs, "mode")
  local runs = (mode or what.file) and mode ~= "link" and reach.real(what.runs) or nil -- a link is a stranger's
  words[#words + 1] = runs and what.runs:gsub("/*$", "/")
  add(what.further or {})
  add(search.reach())
  words[#words + 1] = "data sets"
  for _, directory in ipairs(options.read or {}) do
    add { directory }
    words[#words + 1] = directory
  end
  add(own())
  add(SYSTEM)
  local write = {}
  for i, directory in ipairs(options.write or {}) do write[i] = reach.real(directory) end
  return {
    read = read, write = write, runs = runs, granted = options.write or {}, shown = words, places = search.places(),
    hint = hint,
  }
end

--- One line for people: "reads experiments/, data sets; writes runs/x/default; at most …".
--- @param permits table of `of`
--- @param own_place string|nil what the run itself writes
--- @param limits string in words
function M.words(permits, own_place, limits)
  local written = {}
  if own_place then written[1] = own_place end
  for _, directory in ipairs(permits.granted) do written[#written + 1] = directory end
  return text.visible(("reads %s; writes %s; %s"):format(table.concat(permits.shown, ", "),
    #written > 0 and table.concat(written, ", ") or "nothing", limits))
end

return M
