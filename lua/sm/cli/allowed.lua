--- What a confined script gets of Lua: what is listed here, and nothing else. The library keeps its own globals. What a
--- script gets of each room of the standard libraries is a table of its own, so that a run whose text another script
--- loads (sm.load_run) changes nothing for that one.
local elsewhere = require "sm.elsewhere"
local globals = require "sm.cli.globals"
local modules = require "sm.modules"

local M = {}

local call <const> = globals.call
local scripts <const> = package.loaded._G -- the globals of the first script

local whole = {} -- what they were: the functions of BASE, and the rooms as tables of their own

local function table_copy(map)
  local copy = {}
  for name, value in next, map do copy[name] = value end
  return copy
end

local function names(text)
  local list = {}
  for name in text:gmatch "%S+" do list[#list + 1] = name end
  return list
end

--- Taken as trusted scripts have them.
local BASE <const> = names [[_VERSION assert collectgarbage error ipairs next pairs pcall print rawequal rawget rawlen
  select tonumber tostring type warn xpcall]]
local ROOMS <const> = {
  coroutine = names "close create isyieldable resume running status wrap yield",
  debug = names "traceback",
  io = names "close flush stderr stdout type write",
  math = names [[abs acos asin atan ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max maxinteger min
    mininteger modf pi pow rad random randomseed sin sinh sqrt tan tanh tointeger type ult]],
  os = names "clock date difftime time",
  package = names "config",
  string = names "byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper",
  table = names "concat insert move pack remove sort unpack",
  utf8 = names "char charpattern codepoint codes len offset",
}

--- Why a name is left out; the others of a room say WHY.
local WHY <const> = {
  debug = "it looks into what is not the script's",
  io = "an experiment has the files that it opens, and no input",
  os = "it concerns the whole program",
  package = "require finds the Lua files beside the experiment, and sm",
  string = "a binary chunk can do anything to the program",
  ["io.popen"] = "an experiment starts no programs", ["os.execute"] = "an experiment starts no programs",
  ["io.tmpfile"] = "a file has a name; a relative path lies in the experiment's own directory",
  ["os.tmpname"] = "a relative path lies in the experiment's own directory already",
  ["os.exit"] = "`return` ends a file, and an error fails it",
  ["os.setlocale"] = "it changes how numbers are read and written",
}

local function refuse(room, name, level)
  local full = room .. "." .. name
  error(("%s is not available in an experiment: %s; `smrun --trust FILE` runs it without confinement"):format(full,
    WHY[full] or WHY[room] or "it is not the script's"), level)
end

--- A room's table without what is not listed: functions that say so, and values that raise when they are read.
--- @param into table|nil to be filled; by default a new one
local function room_of(room, into)
  local from, own, values = whole[room], {}, {}
  for _, name in ipairs(ROOMS[room]) do own[name] = from[name] end
  for name, value in next, from do
    if own[name] == nil and type(value) == "function" then
      own[name] = function() refuse(room, name, 3) end
    elseif own[name] == nil then
      values[name] = true
    end
  end
  if into then
    for name in next, into do into[name] = nil end
    for name, value in next, own do into[name] = value end
  end
  return setmetatable(into or own, next(values) and {
    __index = function(_, name)
      if values[name] then refuse(room, name, 3) end
    end,
  } or nil)
end

-- Metatables: a script sees and replaces those that scripts have set, and no other.

local set_by_scripts <const> = setmetatable({}, { __mode = "k" })

local function get_metatable(...)
  if select("#", ...) == 0 then return call("getmetatable", getmetatable) end
  local meta = debug.getmetatable((...))
  if meta == nil then return nil end
  local shown = rawget(meta, "__metatable")
  if shown ~= nil then return shown end
  return set_by_scripts[meta] and meta or false
end

local function set_metatable(object, ...)
  local meta = ...
  if type(object) ~= "table" or select("#", ...) == 0 or meta ~= nil and type(meta) ~= "table" then
    return call("setmetatable", setmetatable, object, ...)
  end
  local present = debug.getmetatable(object)
  if present and (not set_by_scripts[present] or rawget(present, "__metatable") ~= nil) then
    error("cannot change a protected metatable", 2)
  end
  if meta then set_by_scripts[meta] = true end
  return setmetatable(object, meta)
end

--- rawset as Lua has it, but for what is the library's to change.
local function raw_set(object, ...)
  local meta = type(object) == "table" and debug.getmetatable(object)
  if meta and not set_by_scripts[meta] and rawget(meta, "__metatable") == false then
    error("this table is not for an experiment to change", 2)
  end
  return call("rawset", rawset, object, ...)
end

-- Files.

local DENIED <const> = 13 -- EACCES

--- The path to open, as `find` of sm.reach has it, or nil, why, and a number. What is no path is left to Lua.
local function reached(find, path)
  if type(path) == "number" then path = tostring(path) end
  if type(path) ~= "string" then return path end
  local found, problem = require "sm.reach"[find](path)
  if found then return found end
  return nil, problem, DENIED
end

local function open(path, ...)
  local mode = ...
  local reads = mode == nil or type(mode) == "string" and not mode:find "[wa+]"
  local found, problem, code = reached(reads and "find_to_read" or "find_to_write", path)
  if problem then return nil, problem, code end
  return call("open", io.open, found, ...)
end

local function lines(path, ...)
  if path == nil then error("io.lines takes the path of a file: an experiment has no input", 2) end
  local found, problem = reached("find_to_read", path)
  if problem then error(problem, 2) end
  return call("lines", io.lines, found, ...)
end

local function remove(path)
  local found, problem, code = reached("find_to_write", path)
  if problem then return nil, problem, code end
  return call("remove", os.remove, found)
end

local function rename(from, to)
  local old, problem, code = reached("find_to_write", from)
  if problem then return nil, problem, code end
  local new
  new, problem, code = reached("find_to_write", to)
  if problem then return nil, problem, code end
  return call("rename", os.rename, old, new)
end

local function get_environment(name, ...)
  if type(name) ~= "string" then return call("getenv", os.getenv, name, ...) end -- which says so
  return nil
end

-- Code.

--- load as Lua has it, for text alone, in the globals of the script.
local function load_of(own)
  return function(chunk, name, mode, ...)
    local binary = type(mode) == "string" and not mode:find "t" or type(chunk) == "string" and chunk:byte() == 27
    if binary then return nil, modules.binary end
    if select("#", ...) > 0 then return call("load", load, chunk, name, "t", (...)) end
    return call("load", load, chunk, name, "t", own)
  end
end

local OF_SM <const> = { ["sm.nn"] = "nn", ["sm.optim"] = "optim", ["sm.data"] = "data", ["sm.view"] = "view",
  ["sm.png"] = "png" }

--- The library's module of a name, as `sm` has it; nil of what is not for scripts.
local function of_library(name)
  if name == "sm" then return require "sm" end
  return OF_SM[name] and require "sm"[OF_SM[name]]
end

--- require: of Lua beside the experiment, of `sm`, and of what the script has put into package.loaded or preload.
--- @param own table the script's globals
--- @param loaded table its package.loaded
local function require_of(own, loaded)
  local offered = own.package -- its preload and path, also if the script's global is another table by then
  return function(name)
    if type(name) ~= "string" then
      error(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)), 2)
    end
    local module = of_library(name)
    if module then return module end
    if loaded[name] ~= nil then return loaded[name] end
    local loader, place, problem
    local preload = offered.preload
    if type(preload) == "table" and preload[name] ~= nil then
      loader, place = preload[name], ":preload:"
    else
      loader, place, problem = modules.find(name, offered.path)
    end
    if not loader then
      error(("module '%s' %s%s; an experiment has the Lua files beside it, and sm; `smrun --trust FILE` runs it "
        .. "without confinement"):format(name, problem and "not found:" .. problem or "is not available",
        elsewhere.module_hint(name) or ""), 2)
    end
    local result = loader(name, place)
    if result ~= nil then loaded[name] = result end
    if loaded[name] == nil then loaded[name] = true end
    return loaded[name], place
  end
end

local function load_file_of(own)
  return function(path, mode, ...)
    if select("#", ...) > 0 then return modules.load_file(path, mode, (...)) end
    return modules.load_file(path, mode, own)
  end
end

local function do_file_of(own)
  return function(path)
    local chunk, problem = modules.load_file(path, "t", own)
    if not chunk then error(problem, 0) end
    return chunk()
  end
end

--- Fills a table with the globals of one script.
--- @param strings table|nil what is to be its table `string`
--- @return table its package.loaded
local function fill(own, strings)
  local loaded = {}
  for _, name in ipairs(BASE) do own[name] = whole[name] end
  for room in pairs(ROOMS) do own[room] = room_of(room, room == "string" and strings or nil) end
  own._G = own
  own.getmetatable, own.setmetatable, own.rawset = get_metatable, set_metatable, raw_set
  own.io.open, own.io.lines = open, lines
  own.os.remove, own.os.rename, own.os.getenv = remove, rename, get_environment
  own.package.loaded, own.package.preload, own.package.path = loaded, {}, "./?.lua;./?/init.lua"
  own.load, own.loadfile, own.dofile = load_of(own), load_file_of(own), do_file_of(own)
  own.require = require_of(own, loaded)
  for room in pairs(ROOMS) do loaded[room] = own[room] end
  return loaded
end

--- From now on, a script gets what is listed here. Called once, before it is loaded.
function M.install()
  require "sm.random" -- which gives scripts a math.random that follows the seed
  for name, value in next, scripts do
    whole[name] = ROOMS[name] and table_copy(value) or value
  end
  globals.hide_method "dump"
  local strings = scripts.string -- in which the methods of strings are looked up, too
  for name in next, scripts do scripts[name] = nil end
  local loaded = fill(scripts, strings)
  modules.confine(loaded, function()
    local further = {}
    local further_loaded = fill(further)
    globals.share_methods(further.string)
    return further, further_loaded
  end)
end

return M
