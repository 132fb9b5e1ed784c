--- For the build of `make POISON=1`, in which the bindings collect at every allocation: busted's --helper. Installs a
-- finalizer that does hostile things in each collection, and has every function of the runtime do them at each look at
-- a table among its arguments, by metamethods. None of it changes a result.
-- SM_POISON_EVERY=n in the environment: only every n-th allocation collects (runtime/bind/memory.c).
package.path = "tests/lua/?.lua;" .. package.path
local hostile = require "hostile"
local runtime = require "sm.runtime"

local T = runtime.tensor
local release, full = T.release, T.full -- before the library takes it
local acts, act = 0, function() end -- while the library is loaded nothing is done

-- Wrappers ------------------------------------------------------------------------------------------------------

local LOOKED_INTO <const> = 8 -- entries of a table that are looked at for tables

--- Gives plain tables, and those in them, metamethods; appends them to `done`.
local function arm(value, meta, done, depth)
  if type(value) ~= "table" or debug.getmetatable(value) then return end
  debug.setmetatable(value, meta)
  done[#done + 1] = value
  local seen = 0
  for _, item in next, depth < 2 and value or {} do
    seen = seen + 1
    if seen > LOOKED_INTO then break end
    arm(item, meta, done, depth + 1)
  end
end

local meta = {
  __index = function() act() end,
  __len = function(t) act() return rawlen(t) end,
  __pairs = function(t) act() return next, t end,
  __newindex = function(t, key, value) act() rawset(t, key, value) end,
}

local function disarm(done, ...)
  for i = 1, #done do debug.setmetatable(done[i], nil) end
  return ...
end

-- The wrappers' source is among the library's, so that errors are raised at the user's line.
local wrap = assert(load([[
  local arm, disarm, meta, pcall, error, pack, unpack, select = ...
  return function(f)
    return function(...)
      local done = {}
      for i = 1, select("#", ...) do arm(select(i, ...), meta, done, 1) end
      if #done == 0 then return f(...) end
      local results = pack(disarm(done, pcall(f, ...)))
      if not results[1] then error(results[2], 0) end
      return unpack(results, 2, results.n)
    end
  end]], require "sm.place".prefix .. "poison.lua"))(
    function(value, ...) return arm(value, ...) end, disarm, meta, pcall, error, table.pack, table.unpack, select)

for name, part in pairs(runtime) do
  if type(part) == "table" and name ~= "system" then
    for key, f in pairs(part) do
      if type(f) == "function" then part[key] = wrap(f) end
    end
  end
end

-- What is done ------------------------------------------------------------------------------------------------

local autograd = require "sm.autograd"
local sm = require "sm"
local math_functions, windows = runtime.math, runtime.conv

--- Claims blocks that were just given back, and leaves numbers in them that stand out.
local function claim()
  for size = 1, 5 do
    local count = 4 ^ size // 1 | 0
    release(full({ count }, 1e30))
    release(full({ count * 3 }, 1 << 30, "int32"))
    release(full({ count }, 255, "uint8"))
  end
end

--- A graph of its own, unless somebody watches all operations.
local function walk()
  local watched, recording
  for i = 1, 20 do
    local name, value = debug.getupvalue(autograd.record, i)
    if name == "observer" then watched = value end
  end
  for i = 1, 20 do
    local name, value = debug.getupvalue(autograd.records, i)
    if name == "enabled" then recording = value end
  end
  if watched or not recording then return end
  local x = full({ 5 }, 2)
  autograd.requires_grad(x)
  local y = x * x
  local z = y:sum()
  z:backward()
  x.grad = nil
  release(z)
  release(y)
  release(x)
end

local function misuse()
  local x, labels = full({ 2, 3 }, 1), full({ 2 }, 7, "int32")
  pcall(full, { -1 }, 0)
  pcall(full, { 1 << 40, 1 << 40 }, 0)
  pcall(math_functions.matmul, x, "x")
  pcall(math_functions.extremes_backward, x, labels, { 2, 3 }, 2)
  pcall(windows.conv2d, x, x, x, {})
  pcall(runtime.loss.cross_entropy, x, labels)
  pcall(T.gather, x, labels, 0, 2)
  release(x)
  release(labels)
end

local STEPS <const> = { claim, walk, misuse, function() error "hostile" end }

local busy = false
function act()
  if busy then return end
  busy = true
  acts = acts + 1
  local ok, message = pcall(STEPS[acts % #STEPS + 1])
  busy = false
  if not ok and not tostring(message):find "hostile" then
    io.stderr:write("poison.lua: ", tostring(message), "\n")
    os.exit(3)
  end
end

hostile.at_collections(act)
for _ = 1, tonumber(os.getenv "SM_POISON_EVERY") or 1 do assert(sm.ones(2):sum():item() == 2) end
assert(acts > 0, "this build does not collect where it allocates: make POISON=1")
