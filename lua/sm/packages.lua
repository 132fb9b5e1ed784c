--- Lua modules that the library rests on, and its own parts: no file of their name in the working directory or beside
--- an experiment comes before what is installed. One that is missing is told with its package's name.
-- @module sm.packages
local PACKAGES <const> = { argparse = "lua-argparse", lfs = "lua-filesystem" }

local library <const> = debug.getinfo(1, "S").source:match "^@(.*)sm/packages%.lua$"
local loadlib <const>, getmetatable_of <const> = package.loadlib, debug.getmetatable

--- The templates of a path that a test takes.
local function templates(path, takes)
  local list = {}
  for template in path:gmatch "[^;]+" do
    if takes(template) then list[#list + 1] = template end
  end
  return table.concat(list, ";")
end

local function at_root(template)
  return template:sub(1, 1) == "/"
end

--- Not in the working directory itself, where anything may lie: "build/lib/?.so" names one on purpose.
local function in_a_directory(template)
  return ("/" .. template):gsub("/%.%f[/]", ""):gsub("/+", "/"):find "^/[^?]+/" ~= nil
end

--- A directory of lfs takes any object for one when it is closed.
local function mend(lfs)
  local _, directory = lfs.dir "/"
  local meta = getmetatable_of(directory)
  local close <const> = directory.close
  directory:close()
  meta.__metatable = false
  meta.__index.close = function(object)
    if getmetatable_of(object) ~= meta then error("close: expected a directory, got " .. type(object), 2) end
    return close(object)
  end
end

local function find(name, scripts, modules)
  local path = package.searchpath(name, scripts)
  if path then
    local file <close> = assert(io.open(path, "rb"))
    return assert(load(file:read "a", "@" .. path, "t")), path -- loadfile would note it as a module of the run
  end
  path = package.searchpath(name, modules)
  if path then return assert(loadlib(path, "luaopen_" .. name:gsub("%.", "_"))), path end
end

--- A searcher, for the names above and the library's: before those that look in the working directory.
local function search(name)
  local missing = PACKAGES[name]
  if name == "sm" or name:sub(1, 3) == "sm." then
    return find(name, ("%s?.lua;%s?/init.lua"):format(library, library),
      templates(package.cpath, in_a_directory))
  elseif not missing then
    return nil
  end
  local loader, path = find(name, templates(package.path, at_root), templates(package.cpath, at_root))
  if not loader then
    error(("the Lua module '%s' is missing: install Debian's package %s"):format(name, missing), 0)
  end
  if name ~= "lfs" then return loader, path end
  return function(...)
    local lfs = loader(...)
    mend(lfs)
    return lfs
  end, path
end

if package.loaded.lfs then mend(package.loaded.lfs) end
table.insert(package.searchers, package.loaded["sm.host"] and 3 or 2, search) -- smrun finds the library by itself
