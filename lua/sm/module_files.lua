--- Where the files of the user's modules are: what names and places mean, and what a run has kept.
-- Needs nothing of the numeric libraries before a run's modules are read.
local M = {}

-- Required when it is first needed, since sm.modules.shield comes before.
local lfs = setmetatable({}, { __index = function(_, name) return require "lfs"[name] end })

local most_bytes <const>, deepest <const> = 16 << 20, 32 -- of a module of a run; directories within each other

--- What a run's directory has of its modules: runtime.io.beneath's functions, which follow no link there.
--- @return any what the function gives; raises where it gives a reason
local function of_run(name, directory, place, ...)
  local around, own_name = directory:match "^(.*)/([^/]*)$"
  local result, reason = require "sm.runtime".io.beneath[name](around, own_name .. place, ...)
  if result == nil and reason then error(reason, 0) end
  return result
end

--- The directory that a file lies in, ending in "/".
local function directory_of(path)
  return path:match "^(.*/)[^/]*$" or "./"
end

M.directory_of = directory_of

--- Where modules may lie: beside what a link points to, then beside the link.
function M.beside(path)
  local found, steps = { directory_of(path) }, 0
  local target = lfs.symlinkattributes(path, "target")
  while target and steps < 40 do -- as many links as Linux follows
    path, steps = target:sub(1, 1) == "/" and target or directory_of(path) .. target, steps + 1
    target = lfs.symlinkattributes(path, "target")
  end
  if steps > 0 then table.insert(found, 1, directory_of(path)) end
  return found
end

--- The places that a name may mean.
function M.candidates(name)
  local place = name:gsub("%.", "/"):gsub("/+", "/"):gsub("^/", "")
  return { place .. ".lua", place .. "/init.lua" }
end

--- The templates of a path that begin at the root, and the others.
function M.split(path)
  local absolute, others = {}, {}
  for template in path:gmatch "[^;]+" do
    local list = template:sub(1, 1) == "/" and absolute or others
    list[#list + 1] = template
  end
  return table.concat(absolute, ";"), table.concat(others, ";")
end

--- The text of a module that a run has kept; nil where there is none.
--- @param directory string RUN/modules
--- @param place string "/net/blocks.lua"
function M.text(directory, place)
  return of_run("read", directory, place, most_bytes)
end

--- The texts that a run keeps. @return table place → text
--- @param directory string RUN/modules
function M.kept(directory)
  local found = {}
  local function walk(inner, level)
    if level > deepest then error(("%s%s: too deep for modules"):format(directory, inner), 0) end
    for name, kind in pairs(of_run("list", directory, inner) or {}) do
      local place = inner .. "/" .. name
      if name:sub(1, 1) ~= "." then
        if kind == "directory" then walk(place, level + 1)
        else found[place:sub(2)] = of_run("read", directory, place, most_bytes) end
      end
    end
  end
  walk("", 1)
  return found
end

--- Makes a directory, and those above it.
local function make(path)
  if lfs.attributes(path, "mode") == "directory" then return end
  local parent = path:match "^(.+)/[^/]+$"
  if parent then make(parent) end
  lfs.mkdir(path)
end

--- Puts the text of a module into the directory where all runs of a sweep look first. Another of them may have been
--- faster.
--- @return string the text that they all use
function M.publish(directory, place, text)
  local path = directory .. "/" .. place
  make(path:match "^(.*)/")
  local own_path = ("%s.%s"):format(path, tostring({}):match "0x(%x+)")
  local file = io.open(own_path, "wb")
  if not file then return text end -- the sweep has ended
  file:write(text)
  file:close()
  lfs.link(own_path, path) -- fails where there is one
  os.remove(own_path)
  return M.text(directory, "/" .. place) or text
end

return M
