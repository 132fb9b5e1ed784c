--- What a script gets of Lua's standard libraries. The library itself has copies of them, as they were before. So
--- nothing that a script replaces changes what the library does, and nothing that reaches behind Lua's types, where
--- an object could be taken for another, is within a script's reach.
local host = require "sm.host"
local modules = require "sm.modules"
local place = require "sm.place"
local text = require "sm.text"

local own_name = ... -- require passes the name of a module

local M = {}

local scripts <const> = package.loaded._G

local OTHER_TYPE <const> = "it could give an object of the library another type"
local INSIDE <const> = "it reaches into functions that are not the script's"

--- What is left out, and why.
local LEFT_OUT <const> = {
  debug = {
    debug = "it runs what it reads unchecked",
    getmetatable = "getmetatable gives what an object shows", setmetatable = OTHER_TYPE,
    getregistry = "the library keeps there what must not be lost", getuservalue = OTHER_TYPE, setuservalue = OTHER_TYPE,
    setlocal = INSIDE, setupvalue = INSIDE, upvalueid = INSIDE, upvaluejoin = INSIDE,
    setcstacklimit = "the limit protects the program", sethook = "Ctrl-C needs the hook",
  },
  package = { loadlib = "LUA_CPATH says where C modules lie, and require loads them" },
}

local function leave_out(room, name, why)
  scripts[room][name] = function()
    error(("%s.%s is not available in an experiment: %s"):format(room, name, why), 2)
  end
end

--- f(…), whose errors name the script's line: for a tail call.
function M.call(name, f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  if type(results[2]) ~= "string" then error(results[2], 0) end -- an interruption, say
  error((results[2]:gsub("'%?'", "'" .. name .. "'", 1)), 2)
end

local call <const> = M.call

--- debug.getlocal of levels and functions of a script's.
local function get_local(...)
  local thread, where, index = nil, ...
  if type(where) == "thread" then thread, where, index = ... end
  local level = type(where) ~= "function" and math.tointeger(where)
  local info
  if thread and level then
    info = debug.getinfo(thread, level, "S")
  elseif where then
    info = debug.getinfo(level and level + 1 or where, "S")
  end
  if info and not place.is_users(info) then return nil end
  if thread or not level then return call("getlocal", debug.getlocal, ...) end
  return call("getlocal", debug.getlocal, level + 2, index) -- behind `call` and pcall
end

--- debug.getupvalue of a script's own functions.
local function get_upvalue(...)
  local f = ...
  if type(f) == "function" and not place.is_users(debug.getinfo(f, "S")) then return nil end
  return call("getupvalue", debug.getupvalue, ...)
end

--- load as Lua has it, for text alone.
local function load_text(chunk, name, mode, ...)
  local binary = type(mode) == "string" and not mode:find "t" or type(chunk) == "string" and chunk:byte() == 27
  if binary then return nil, modules.binary end
  return call("load", load, chunk, name, "t", ...)
end

--- collectgarbage without what would leave tensors lying about: they are returned by young collections.
local function collect(option, ...)
  option = option or "collect"
  if option == "generational" and select("#", ...) == 0 then return option end -- as it is
  if option == "count" or option == "collect" or option == "step" or option == "isrunning" then
    return call("collectgarbage", collectgarbage, option, ...)
  end
  error(('collectgarbage: expected "collect", "step", "count" or "isrunning", got %s; smrun collects in generational '
    .. "mode, which its tensors need"):format(type(option) == "string" and ("%q"):format(option) or type(option)), 2)
end

local close <const> = host.guarded(coroutine.close)

local function results_of(thread, ok, ...)
  if ok then return ... end
  local problem = ...
  if coroutine.status(thread) == "dead" then
    local closed, further = close(thread)
    if not closed then problem = further end
  end
  error(problem, 2)
end

--- coroutine.wrap, which closes what has failed as coroutine.close does.
local function wrap(f)
  if type(f) ~= "function" then return call("wrap", coroutine.wrap, f) end
  local thread = coroutine.create(f)
  return function(...) return results_of(thread, coroutine.resume(thread, ...)) end
end

--- print as Lua has it, with nothing in it that a terminal would obey: what is printed may be somebody else's text.
local function print_visibly(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  text.print(table.concat(parts, "\t", 1, parts.n))
end

local methods_of_scripts <const> = { scripts.string } -- the tables `string` of all scripts

--- Methods of strings: those of the library's own table first, then what a script has put into `string`.
local function share_string_methods()
  local methods <const> = getmetatable("")
  methods.__index = setmetatable(string, {
    __index = function(_, name)
      for _, own in ipairs(methods_of_scripts) do
        if own[name] ~= nil then return own[name] end
      end
    end,
  })
  methods.__metatable = setmetatable({}, {
    __index = { __index = scripts.string },
    __newindex = function()
      error("the metatable of strings is not for an experiment to change; functions in the table 'string' are methods, "
        .. "too", 2)
    end,
    __metatable = false,
  })
end

--- Takes the table `string` of one more script: what the script puts into it becomes methods.
function M.share_methods(own)
  methods_of_scripts[#methods_of_scripts + 1] = own
end

--- Takes a function of the library's from the methods of strings, and keeps it in the library's table `string`.
function M.hide_method(name)
  local methods <const>, shown = debug.getmetatable "", {}
  for key, value in next, methods.__index do shown[key] = value end
  shown[name] = nil
  methods.__index = setmetatable(shown, getmetatable(methods.__index))
end

--- require for the library's own files: nothing that a script does to package.loaded, preload or searchers comes
--- between them.
local function library_require()
  local searchers <const> = table.move(package.searchers, 2, #package.searchers, 1, {}) -- not preload
  local kept = { [own_name] = M }
  for name, module in pairs(package.loaded) do kept[name] = module end
  return function(name)
    if kept[name] ~= nil then return kept[name] end
    for _, searcher in ipairs(searchers) do
      local loader, path = searcher(name)
      if type(loader) == "function" then
        local module = loader(name, path)
        kept[name], package.loaded[name] = module, module
        return module
      end
    end
    error(("the library's module '%s' is missing"):format(name), 0)
  end
end

local library <const>, lua_require <const> = library_require(), require

--- require as Lua has it; of the library's own modules a script gets those that the library has.
local function require_for_scripts(name)
  if type(name) == "string" and modules.is_library(name) then return library(name) end
  return lua_require(name)
end

rawset(_G, "require", library)
scripts.require = require_for_scripts
for room, names in pairs(LEFT_OUT) do
  for name, why in pairs(names) do leave_out(room, name, why) end
end
scripts.debug.getlocal = get_local
scripts.debug.getupvalue = get_upvalue
scripts.load = load_text
scripts.print = print_visibly
scripts.collectgarbage = collect
scripts.coroutine.close = close
scripts.coroutine.wrap = wrap
share_string_methods()
getmetatable(io.stdout).__metatable = false

return M
