--- Every function of the interface, found by walking what `require "sm"` and `require "sm.runtime"` give and the
-- classes of the objects that they make.
local check = require "sm.check"
local runtime = require "sm.runtime"
local sm = require "sm"

local Catalogue = {}

-- What sets up the library itself, once, and no call of a script's can be meant to change.
local LEFT_OUT <const> = {
  ["runtime.set_library"] = true, ["tape.set_overwritten_node"] = true, ["tensor.define"] = true,
}
-- Nor what only the tape gives nodes to, or gradients that it has counted.
for name in ("recorders new_overwritten nodes_before ready pass lend let_go take settle"):gmatch "%S+" do
  LEFT_OUT["tape." .. name] = true
end

-- What changes its arguments, by its name: methods whose names end in _ do as well.
local CHANGES <const> = {
  "_$", "^tensor:backward$", "grad", "^tensor%.__newindex$", "^tape%.set_", "^tensor%.release$", "^optim%.",
  "_backward", "^optimizer:", "^model", "^experiment:", "^sm%.experiment$", "^sm%.no_grad$", "^op%.", "^view:",
  "^batches%.", "^sm%.gradcheck$", "^runtime%.traced$", "^pointwise%.", "^stride%.add_into$",
  "^recurrent%.", "^normalise%.backward$", "^normalise%.follow$", "^softmax%.winners$",
}

local function changes(name)
  for _, pattern in ipairs(CHANGES) do
    if name:find(pattern) then return true end
  end
  return false
end

local function sorted(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- Whether Lua values can be called.
local function callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- What a script does with a tensor other than by methods.
local OPERATORS <const> = {
  __add = function(a, b) return a + b end, __sub = function(a, b) return a - b end,
  __mul = function(a, b) return a * b end, __div = function(a, b) return a / b end,
  __pow = function(a, b) return a ^ b end, __unm = function(a) return -a end, __len = function(a) return #a end,
  __eq = function(a, b) return a == b end, __concat = function(a, b) return a .. b end,
  __index = function(a, key) return a[key] end, __newindex = function(a, key, value) a[key] = value end,
  __tostring = function(a) return tostring(a) end, __lt = function(a, b) return a < b end,
  grad = function(a, g) a.grad = g return a.grad end, __close = function(a) local _ <close> = a end,
  ipairs = function(a)
    local count = 0
    for _ in ipairs(a) do
      count = count + 1
      if count == 100 then return count end
    end
    return count
  end,
}

--- @param g a generator that can make an object of each kind
--- @return array of {name=, f= or key= (of a method), kind= (of the receiver), changes=, kernel=, public=}
function Catalogue.find(g)
  local entries, seen = {}, {}
  local function add(entry)
    if LEFT_OUT[entry.name] then return end
    entry.changes = changes(entry.name)
    entry.public = entry.public or debug.getinfo(entry.f, "S").what == "C"
    entries[#entries + 1] = entry
  end
  local function walk(prefix, t, kernel)
    t = check.behind[t] or t
    if seen[t] then return end
    seen[t] = true
    for _, key in ipairs(sorted(t)) do
      local value, name = t[key], prefix .. "." .. key
      if type(value) == "function" then
        add { name = name, f = value, kernel = kernel }
      elseif type(value) == "table" then
        if callable(value) then
          add { name = name, f = function(...) return value(...) end, public = true }
        else
          walk(kernel and key or name, value, kernel)
        end
      end
    end
  end
  local _, tensor_methods = debug.getupvalue(debug.getmetatable(sm.zeros(1)).__index, 1) -- no script sees them
  for _ in pairs(sm) do end -- loads every room
  walk("sm", sm)
  walk("runtime", runtime, true)
  walk("canvas", require "sm.canvas")
  for _, key in ipairs(sorted(tensor_methods)) do
    add { name = "tensor:" .. key, key = key, f = tensor_methods[key], kind = "tensor" }
  end
  for _, key in ipairs(sorted(OPERATORS)) do
    add { name = "tensor." .. key, f = OPERATORS[key], kind = "tensor", public = true }
  end
  for _, kind in ipairs(g.KINDS) do
    local made, object = pcall(g.object, g, kind)
    if not made then error(("no %s: %s"):format(kind, object)) end
    if callable(object) then
      add { name = kind .. ".__call", f = function(x, ...) return x(...) end, kind = kind, public = true }
    end
    local class, methods = debug.getmetatable(object), {}
    while type(class) == "table" do
      local index = rawget(class, "__index")
      for _, t in ipairs { class, type(index) == "table" and index or nil } do
        for _, key in ipairs(sorted(t)) do
          if type(rawget(t, key)) == "function" and not key:find "^__" then methods[key] = rawget(t, key) end
        end
      end
      if rawget(class, "__tostring") and not methods.__tostring then
        methods.__tostring = tostring
      end
      class = type(index) == "table" and debug.getmetatable(index) or nil
    end
    for _, key in ipairs(sorted(methods)) do
      add { name = kind .. ":" .. key, key = key, f = methods[key], kind = kind }
    end
  end
  return entries
end

return Catalogue
