--- Arguments that nobody should give: numbers at the edges of their types, strings that are no text, tables and
-- functions that change things while they are read.
local NUMBERS <const> = {
  0, -0.0, 1, -1, 2, -2, 3, 7, 8, 9, 64, 255, 256, 1000, 0.5, -0.5, 1.0, 2.0, -3.0, 1.5, 1e-46, 1e-310, 1e39, -1e39,
  1e300, -1e300, 0 / 0, 1 / 0, -1 / 0, math.pi, 1 << 15, 1 << 16, (1 << 24) + 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 1,
  -(1 << 31), -(1 << 31) - 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40, 1 << 53, (1 << 53) + 1, 1 << 60,
  1 << 61, 1 << 62, (1 << 62) + 1, math.maxinteger, math.maxinteger - 1, math.mininteger, math.mininteger + 1, 2.0 ^ 31,
  2.0 ^ 53, 2.0 ^ 62, 2.0 ^ 63, -2.0 ^ 63, 2.0 ^ 64, 274177, 67280421310721, 1e18, 1e6, 1e9,
}

local STRINGS <const> = {
  "", " ", "0", "1", "-1", "1e3", "0x10", "1e999", "nan", "inf", "x", "same", "valid", "float32", "float64", "uint8",
  "int32", "shape", "grad", "__index", "__gc", "train", "conv1", "conv1.weight", "weight", "cross_entropy", "accuracy",
  "a\0b", "\0", "\27[2J", "\r\n", "\7\8", "\xFF\xFE", "\u{202E}abc", "\xED\xA0\x80", "%s%n%d", "%", "a/b", ".", "",
  "no/such.npy", "x.npy", "x.safetensors", "no.idx", "é", "日本", "#ff0000", "#12345678", "a b", "'\"\\", "<script>",
}

local Hostile = {}

function Hostile.number(g)
  return g:pick(NUMBERS)
end

function Hostile.string(g)
  if g:chance(0.06) then return g:pick { "a", "\0", "\27", "%" }:rep(g:pick { 300, 70000, 5000000 }) end
  return g:pick(STRINGS)
end

--- What every function of ours that raises raises, so that it is told from the library's errors.
Hostile.RAISED = setmetatable({}, { __tostring = function() return "raised" end, __name = "raised" })

-- How functions misbehave: name → function(g) → function. All is drawn when one is made.
local BEHAVIOUR = {
  nothing = function() return function() end end,
  same = function() return function(...) return ... end end,
  second = function() return function(_, x) return x end end,
  raise = function() return function() error("raised", 0) end end,
  raise_table = function() return function() error(Hostile.RAISED) end end,
  raise_nil = function() return function() error() end end,
  collect = function() return function(...) collectgarbage() return ... end end,
  yield = function()
    return function(...)
      if coroutine.isyieldable() then coroutine.yield(...) end
      return ...
    end
  end,
  many = function() return function() return table.unpack({}, 1, 5000) end end,
  clear = function()
    return function(t)
      if type(t) ~= "table" then return end
      for key in next, t do rawset(t, key, nil) end
    end
  end,
  grow = function()
    return function(t)
      if type(t) ~= "table" then return end
      for i = 1, 50 do rawset(t, "k" .. i, i) end
    end
  end,
  strip = function()
    return function(t)
      if type(t) == "table" then pcall(setmetatable, t, nil) end
    end
  end,
  junk = function(g)
    local value = Hostile.simple(g)
    return function() return value end
  end,
  tensor = function(g)
    local x = g:tensor()
    return function() return x end
  end,
  release = function(g)
    local x = g:tensor()
    return function(...) g.release(x) return ... end
  end,
  call = function(g)
    local entry, x = g:pick(g.functions), g:tensor()
    if not entry.f or entry.changes then return function() end end
    return function(...) pcall(entry.f, x, x) return ... end
  end,
  backward = function(g)
    local x = g:tensor()
    return function(...) pcall(x.backward, x) return ... end
  end,
  deep = function()
    local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end
    return function() return deep(5000) end
  end,
}
local BEHAVIOURS = {}
for name in pairs(BEHAVIOUR) do BEHAVIOURS[#BEHAVIOURS + 1] = name end
table.sort(BEHAVIOURS)

function Hostile.func(g)
  local name = g:pick(BEHAVIOURS)
  return g:name(BEHAVIOUR[name](g), "f", "<function that does: %s>", name)
end

local EVENTS <const> = {
  "__index", "__len", "__pairs", "__eq", "__tostring", "__gc", "__close", "__call", "__newindex", "__lt", "__le",
  "__concat", "__add", "__mul", "__unm", "__name", "__metatable", "__mode", "__div",
}

--- A metatable with a few metamethods that misbehave, or are none.
function Hostile.metatable(g)
  local meta, parts = {}, {}
  for _ = 1, g:below(4) do
    local event = g:pick(EVENTS)
    local value = g:chance(0.8) and Hostile.func(g) or Hostile.simple(g)
    if event == "__mode" then value = g:pick { "k", "v", "kv", "?" } end
    meta[event] = value
    parts[#parts + 1] = ("%s = %s"):format(event, g:text(value))
  end
  return meta, "{ " .. table.concat(parts, ", ") .. " }"
end

--- Puts a hostile metatable on a table that has none.
function Hostile.curse(g, t)
  local text = g:text(t)
  local meta, shown = Hostile.metatable(g)
  setmetatable(t, meta)
  return g:name(t, "h", "setmetatable(%s, %s)", text, shown)
end

--- A number, a string, a truth value or nil.
function Hostile.simple(g)
  local kind = g:below(10)
  if kind <= 5 then return Hostile.number(g) end
  if kind <= 8 then return Hostile.string(g) end
  return g:pick { true, false }
end

local TABLE = {
  function() return {} end,
  function(g) return { Hostile.number(g) } end,
  function(g) return { Hostile.number(g), Hostile.number(g) } end,
  function(g) return { g:below(4), Hostile.number(g), g:below(4) } end,
  function(g) return { 1, nil, Hostile.number(g), nil, 5 } end,
  function(g) return { [0] = 1, [-1] = 2, [Hostile.number(g) == Hostile.number(g) and 7 or 8] = 3 } end,
  function(g) return { [1.5] = Hostile.simple(g), [true] = 1 } end,
  function(g) return { [Hostile.string(g)] = Hostile.simple(g) } end,
  function(g) return { { 1, 2 }, { Hostile.simple(g) } } end,
  function(g) return { g:tensor(), Hostile.simple(g), g:tensor() } end,
  function(g)
    local t = {}
    t[1], t[2], t.self, t.name = t, t, t, Hostile.simple(g)
    return g:name(t, "loop", "<a table that holds itself at 1, 2 and self>")
  end,
  function(g)
    local t = {}
    for i = 1, g:pick { 9, 300, 20000 } do t[i] = 1 end
    return g:name(t, "long", "<%d times 1>", #t)
  end,
  function(g)
    local t = { 1 }
    for _ = 1, g:pick { 9, 150, 30000 } do t = { t } end
    return g:name(t, "nested", "<a table nested deeply>")
  end,
}

function Hostile.table(g)
  local t = g:pick(TABLE)(g)
  return g:chance(0.35) and not g.names[t] and Hostile.curse(g, t) or t
end

local OTHER = {
  function(g) return g:name(io.tmpfile(), "file", "io.tmpfile()") end,
  function(g)
    local file = io.tmpfile()
    file:close()
    return g:name(file, "file", "<a closed file>")
  end,
  function(g) return g:name(coroutine.create(function() coroutine.yield(1) end), "co", "coroutine.create(f)") end,
  function(g)
    local co = coroutine.create(function() end)
    coroutine.resume(co)
    return g:name(co, "co", "<a dead coroutine>")
  end,
  function() return print end,
}

--- Anything at all.
function Hostile.value(g)
  local kind = g:below(20)
  if kind <= 6 then return Hostile.number(g) end
  if kind <= 9 then return Hostile.string(g) end
  if kind <= 13 then return Hostile.table(g) end
  if kind <= 15 then return Hostile.func(g) end
  if kind == 16 then return g:pick { true, false } end
  if kind == 17 then return nil end
  if kind == 18 then return g:pick(OTHER)(g) end
  return g:anything()
end

return Hostile
