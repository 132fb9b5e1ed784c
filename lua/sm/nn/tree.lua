--- Which layers a model has, and what each is called there. A layer that stands in several places is one layer: it is
--- named by its first place, and visited once.
local check = require "sm.check"
local fail = require "sm.fail"

local M = {}

local metatables = {} -- of every kind of layer that was defined

--- Makes the tables with this metatable layers.
function M.register(metatable)
  metatables[metatable] = true
end

--- Whether a value is a layer.
function M.is(value)
  return type(value) == "table" and metatables[debug.getmetatable(value)] == true
end

local FIELDS <const> = {} -- what a layer has, or will have, beside its methods
for name in ([[parent layers names keys inputs sorts built own building freezing kind role short where path name options
  training constructor input_shape output_shape input_dtype parameter_map buffer_map]]):gmatch "%S+" do
  FIELDS[name] = true
end

--- Whether a name within a layer, of a parameter say, is taken.
function M.has(layer, name)
  return FIELDS[name] or layer[name] ~= nil
end

--- The path of a layer, or of a tensor, in what has a path itself; "" is a whole model's.
function M.join(path, name)
  return path == "" and name or path .. "." .. name
end

--- Calls visit(layer, path) for a layer and everything in it, each once: containers before their layers.
function M.walk(root, visit)
  local state = {} -- layer → "open" while its own layers are visited, then "done"
  local function enter(layer, path)
    state[layer] = "open"
    visit(layer, path)
    local names = layer.names
    for position, inner in ipairs(layer.layers or {}) do
      if state[inner] == "open" then
        fail "a model contains itself: the layers in it lead back to one that holds them"
      elseif not M.is(inner) then
        fail("the layers of a model were changed: found %s in '%s'", check.describe(inner), path)
      elseif not state[inner] then
        enter(inner, M.join(path, names[position] or inner.name))
      end
    end
    state[layer] = "done"
  end
  enter(root, root.path)
end

--- The paths of a layer and of everything in it: a table layer → path.
function M.paths(root)
  local paths = {}
  M.walk(root, function(layer, path) paths[layer] = path end)
  return paths
end

--- The model that a layer has its first place in; itself where it is in none.
--- @param known table|nil layer → what was found, for many of one tree
function M.root(layer, known)
  known = known or {}
  local seen, root = {}, layer
  while root.parent and not known[root] do
    if seen[root] then fail "a model contains itself: the parents of a layer lead back to it" end
    seen[root] = true
    root = root.parent
  end
  root = known[root] or root
  known[layer] = root
  return root
end

return M
