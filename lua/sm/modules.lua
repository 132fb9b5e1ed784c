--- The user's own modules: found beside the file that is run, read once, and part of the text of its run.
-- They are found by name in directories rather than by package.path, whose templates give ';' and '?' a meaning.
-- Needs nothing of the numeric libraries, so that a line of plain Lua runs at once.

require "sm.packages" -- whose searcher comes before those below

local M = {}

-- Required when it is first needed, since `shield` comes before.
local lfs = setmetatable({}, { __index = function(_, name) return require "lfs"[name] end })

local module_files <const> = require "sm.module_files"
local candidates <const>, directory_of <const>, beside <const> = module_files.candidates, module_files.directory_of,
  module_files.beside

--- What the library rests on comes first, too, and its parts in C.
local own <const> = {
  lfs = true, argparse = true, ["sm.runtime"] = true, ["sm.canvas"] = true, ["sm.host"] = true,
}
local library <const> = debug.getinfo(1, "S").source:match "^@(.*)sm/modules%.lua$"
local scripts <const> = package.loaded._G or _G -- the globals of scripts; smrun gives the library others
local lua_searcher <const> = package.loaded["sm.host"] and 4 or 3 -- the place of Lua's own, behind the library's
local cpath            -- where C modules are found, once that is settled
local relative = ""    -- the templates of package.path that begin in the working directory
local kept             -- the modules of a run or a sweep, which come first: their directory, or place → text; or nil
local places = {}      -- the directories beside the file
local shared           -- whether `kept` gets what is loaded for the first time
local files = {}       -- place of a module ("net/blocks.lua") → its text, for as long as it is needed
local loaded = {}      -- place → text, of what the present file has loaded
local names = {}       -- the names under which package.loaded has them
local keeper           -- function(place, text): hears of every module once a run keeps them
local globals = scripts -- of the modules
local registry = package.loaded -- where `require` keeps the values of modules
local make_globals -- in a confined process: function() → globals and registry of one more script

--- The whole content of a file, nil where there is none that can be read.
local function read(path)
  if type(kept) == "table" or path:find("\0", 1, true) then return nil end
  if kept and path:sub(1, #kept + 1) == kept .. "/" then
    return module_files.text(kept, path:sub(#kept + 1))
  end
  if lfs.attributes(path, "mode") ~= "file" then return nil end
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

--- The text of a module that comes first, by its place.
local function read_kept(place)
  if type(kept) == "table" then return kept[place] end
  return kept and read(kept .. "/" .. place)
end

--- What is said of a binary chunk (string.dump, luac): a corrupted one can do anything to the program.
M.binary = "expected Lua text, got a binary chunk, which Lua does not check"

--- Lua text as it is compiled: without the mark of its encoding, and without a first line for the shell.
function M.compile(text, path, environment)
  local code = text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
  if code:find "^\n?\27" then return nil, ("%s: %s"):format(path, M.binary) end
  return load(code, "@" .. path, "t", environment or globals)
end

--- Whether a name means a module of the library, or one that it needs.
function M.is_library(name)
  if own[name] then return true end
  for _, place in ipairs(candidates(name)) do
    if lfs.attributes(library .. place, "mode") == "file" then return true end
  end
  return false
end

local function note(place, text)
  if loaded[place] == text then return end
  files[place], loaded[place] = text, text
  if keeper then keeper(place, text) end
end

--- The text of a module, by its place, and the path of the file: what has been read stays as it is.
local function find(place)
  local first = read_kept(place)
  if first then return first, (type(kept) == "table" and places[1] or kept .. "/") .. place end
  for _, directory in ipairs(places) do
    local path = directory .. place
    local text = files[place] or read(path)
    if text then return text, path end
  end
end

--- The place of a file that is named by its path: below the file that is run, or below the working directory. nil for
--- what is elsewhere.
local function place_of(path)
  if type(path) ~= "string" then return nil end
  local around = table.move(places, 1, #places, 1, {})
  around[#around + 1] = (lfs.currentdir() or ".") .. "/"
  for _, directory in ipairs(around) do
    if path:sub(1, #directory) == directory then
      path = path:sub(#directory + 1)
      break
    end
  end
  if path:sub(1, 1) == "/" then return nil end
  path = ("/" .. path):gsub("/%.%f[/]", ""):gsub("/+", "/"):sub(2)
  return path ~= "" and not ("/" .. path .. "/"):find("/../", 1, true) and path or nil
end

--- Puts the text of a module where all runs of a sweep look first.
--- @return string the text that they all use
function M.publish(place, text)
  return module_files.publish(kept, place, text)
end

local publish = M.publish
--- Where this process may not write: what is done instead of `publish`.
function M.publish_by(f)
  publish = f
end

local function compile_module(name, text, path)
  local chunk, problem = M.compile(text, path)
  if not chunk then error(("error loading module '%s' from file '%s':\n\t%s"):format(name, path, problem), 0) end
  return chunk
end

local function load_module(name, place, text, path)
  if shared then text = publish(place, text) end
  local chunk = compile_module(name, text, path)
  names[#names + 1] = name
  note(place, text)
  return chunk, path
end

--- The file that package.path finds, as the text of the run may have set it: kept as well where it has a place.
local function search_path(name, templates)
  if #places == 0 or M.is_library(name) then return nil end
  local inner = name:gsub("%.", "/"):gsub("%%", "%%%%")
  for template in (make_globals and templates or package.path):gmatch "[^;]+" do
    local path = template:gsub("%?", inner)
    local place = place_of(path)
    local text = place and (read_kept(place) or read(path))
    if text then return load_module(name, place, text, path) end
  end
end

local function search_beside(name)
  if #places == 0 or M.is_library(name) then return nil end
  local tried = {}
  for _, place in ipairs(candidates(name)) do
    local text, path = find(place)
    if text then return load_module(name, place, text, path) end
    for _, directory in ipairs(places) do tried[#tried + 1] = ("no file '%s%s' beside it"):format(directory, place) end
  end
  return table.concat(tried, "\n\t")
end

--- The text that a path of templates finds, and where; or nil and where it is not. package.searchpath would open what
--- is no file, and wait.
local function search_templates(name, path)
  local inner, tried = name:gsub("%.", "/"):gsub("%%", "%%%%"), {}
  for template in path:gmatch "[^;]+" do
    local file = template:gsub("%?", inner)
    local text = read(file)
    if text then return text, file end
    tried[#tried + 1] = ("no file '%s'"):format(file)
  end
  return nil, table.concat(tried, "\n\t")
end

--- In the working directory, as package.path has it, after all else.
local function search_relative(name)
  if relative == "" or own[name] then return nil end
  local text, path = search_templates(name, relative)
  if not text then return path end
  return load_module(name, candidates(name)[path:find "/init%.lua$" and 2 or 1], text, path)
end

local lua_loadfile = loadfile

--- loadfile as Lua has it, for text alone; a file beside the one that is run is a module of it.
local function load_file(...)
  local path, mode, environment = ...
  if type(mode) == "string" and not mode:find "t" then return nil, ("%s: %s"):format(tostring(path), M.binary) end
  if make_globals and type(path) ~= "string" then error("expected the path of a file, got " .. type(path), 3) end
  local place = #places > 0 and place_of(path)
  local text = place and read_kept(place)
  if make_globals and not text then
    local found, problem = require "sm.reach".find_to_read(path)
    if not found then return nil, problem end
    path, place = found, #places > 0 and place_of(found)
  end
  text = text or place and read(path)
  if not text then return lua_loadfile(path, "t", select(3, ...)) end
  if shared then text = publish(place, text) end
  note(place, text)
  if select("#", ...) < 3 then environment = globals end
  return M.compile(text, path, environment)
end

local function do_file(...)
  local chunk, problem = load_file(...)
  if not chunk then error(problem, 0) end
  return chunk()
end

--- loadfile; in a confined process with an environment, always.
M.load_file = load_file

--- What finds a module of a confined script: beside it, then where its package.path says.
--- @return function|nil loader
--- @return string|nil where it is, for the loader
--- @return string|nil where it is not, for a message; nil where the name is one that is not looked for
function M.find(name, path)
  local loader, place = search_beside(name)
  local tried = loader
  if type(loader) ~= "function" then loader, place = search_path(name, type(path) == "string" and path or "") end
  if loader then return loader, place end
  return nil, nil, type(tried) == "string" and tried ~= "" and "\n\t" .. tried or nil
end

--- From now on, in a confined process, scripts have globals of their own.
--- @param values table package.loaded of the first script, whose globals are those that all scripts have otherwise
--- @param maker function() → a table of globals, and what is package.loaded there, for a further script
function M.confine(values, maker)
  registry, make_globals = values, maker
end

--- What the modules of the script that is loading have given: package.loaded there.
function M.values()
  return registry
end

--- The globals of the script that is loading.
function M.globals()
  return make_globals and globals or scripts
end

local installed = false
local function install()
  if installed then return end
  installed = true
  rawset(scripts, "loadfile", load_file)
  rawset(scripts, "dofile", do_file)
  table.insert(package.searchers, lua_searcher, search_beside)
  table.insert(package.searchers, lua_searcher + 1, search_path)
  package.searchers[#package.searchers + 1] = search_relative
end

--- A module of the system's, or of LUA_PATH.
local function search_text(name)
  local text, path = search_templates(name, package.path)
  if not text then return path end
  return compile_module(name, text, path), path
end

--- One of Lua's searchers for C modules, as long as it looks where the person who started the program said.
local function settled(search)
  return function(name)
    if rawget(package, "cpath") ~= cpath then
      error(("module '%s': package.cpath is not for an experiment to change; the environment variable LUA_CPATH says "
        .. "where else C modules lie"):format(name), 0)
    end
    return search(name)
  end
end

--- In smrun. Takes the templates that begin in the working directory out of package.path and package.cpath: a file
--- there that is named as what the library needs must not come in its place. Lua modules are then text, and C modules
--- come from where they are now.
function M.shield()
  package.path, relative = module_files.split(package.path)
  cpath = module_files.split(package.cpath)
  package.cpath = cpath
  local searchers <const> = package.searchers -- Lua's own are one of text, one of C and one of parts of those
  searchers[lua_searcher] = search_text
  for i = lua_searcher + 1, #searchers do searchers[i] = settled(searchers[i]) end
  install()
end

--- Forgets the modules that the last file has loaded, so that the next one loads them anew.
local function forget()
  for _, name in ipairs(names) do registry[name] = nil end
  names, loaded, keeper = {}, {}, nil
end

--- Before a file is loaded.
--- @param path string the file
--- @param options table|nil {kept=(a directory whose modules come first; or place → text, and there are no others),
---   share=(whether it gets those that it lacks), beside=(a further directory), again=(true: texts stay as read)}
function M.begin(path, options)
  options = options or {}
  install()
  forget()
  if not options.again then files = {} end
  kept, shared = options.kept, options.share
  places = type(kept) == "table" and { directory_of(path) } or beside(path)
  if options.beside then places[#places + 1] = options.beside:gsub("/*$", "/") end
end

local runs_refused

--- From now on the text of another run is not loaded.
--- @param why string, or a function(path of the run or checkpoint) that gives one, or nil where it may be loaded
function M.refuse_runs(why)
  runs_refused = why
end

--- The modules of another run, whose text is loaded while this one's runs. That text's `require` finds these, and no
--- others of the same names, also when a function of it is called later.
--- @param path string of the run, or of the checkpoint that has the text
--- @param texts table its modules: place → text
--- @return table {require=(for that text), enter=function, for `local scope <close> = …` while it is loaded}
function M.apart(path, texts)
  local refused = runs_refused
  if type(refused) == "function" then refused = refused(path) end
  if refused then error(refused, 0) end
  local values, self = {}, {}
  local own_globals, own_registry
  local require_inner = scripts.require
  if make_globals then
    own_globals, own_registry = make_globals()
    require_inner = own_globals.require
  else
    own_globals, own_registry = { __index = scripts, __newindex = scripts }, registry
    setmetatable(own_globals, own_globals)
  end
  local state = table.pack(nil, nil, {}, {}, {}, {}, nil, own_globals, own_registry)
  local function exchange()
    local old = table.pack(kept, shared, places, files, loaded, names, keeper, globals, registry)
    kept, shared, places, files, loaded, names, keeper, globals, registry = table.unpack(state, 1, 9)
    state = old
  end
  function self.enter()
    if globals == own_globals then return nil end
    if make_globals then
      exchange()
      return setmetatable({}, { __close = exchange })
    end
    local hidden = {}
    for _, name in ipairs(names) do hidden[name] = package.loaded[name] end
    for name, value in pairs(package.loaded) do
      local place, inner = table.unpack(candidates(tostring(name)))
      if (texts[place] or texts[inner]) and not M.is_library(name) then hidden[name] = value end
    end
    for name in pairs(hidden) do package.loaded[name] = nil end
    for name, value in pairs(values) do package.loaded[name] = value end
    exchange()
    return setmetatable({}, { __close = function()
      for _, name in ipairs(names) do values[name], package.loaded[name] = package.loaded[name], nil end
      exchange()
      for name, value in pairs(hidden) do package.loaded[name] = value end
    end })
  end
  function self.require(...)
    local _ <close> = self.enter()
    return require_inner(...)
  end
  rawset(own_globals, "require", self.require)
  return self
end

--- Where plain Lua has loaded the file itself: the modules that package.path has found in its directory.
local function loaded_by_lua(path)
  local found, directory = {}, directory_of(path):gsub("^%./", "")
  for name in pairs(package.loaded) do
    local file = package.searchpath(name, package.path)
    if file and not M.is_library(name) and directory_of(file):gsub("^%./", ""):sub(1, #directory) == directory then
      found[candidates(name)[file:find "/init%.lua$" and 2 or 1]] = read(file)
    end
  end
  return found
end

--- What the file has loaded so far.
--- @param path string the file
--- @return table place ("net/blocks.lua") → text
function M.loaded(path)
  if #places == 0 then return loaded_by_lua(path) end
  local copy = {}
  for place, text in pairs(loaded) do copy[place] = text end
  return copy
end

--- The text of a module that need not have been loaded. @return string|nil
function M.text(place)
  return (find(place)) or read(place) -- below the working directory
end

--- Hands every module that the file has loaded, and every one that it will load, to a function(place, text).
function M.each(path, visit)
  keeper = visit
  for place, text in pairs(M.loaded(path)) do visit(place, text) end
end

--- The texts that a run keeps. @return table place → text
--- @param directory string RUN/modules
M.read = module_files.kept

return M
