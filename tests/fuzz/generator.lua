--- The source of everything that the fuzzer of the interface draws: a generator of random numbers that a seed decides,
-- and values that know the text by which a reader makes them again.
local Generator = {}
Generator.__index = Generator

--- @param seed integer of the case
function Generator.new(seed)
  return setmetatable({
    state = seed, lines = {}, names = setmetatable({}, { __mode = "k" }), count = 0, pool = {},
    functions = { {} },        -- what hostile functions call: entries of the catalogue
    release = function() end,  -- how they release a tensor
  }, Generator)
end

--- 64 random bits (splitmix64; Steele, Lea and Flood 2014).
function Generator:bits()
  self.state = self.state + 0x9E3779B97F4A7C15
  local z = self.state
  z = (z ~ z >> 30) * 0xBF58476D1CE4E5B9
  z = (z ~ z >> 27) * 0x94D049BB133111EB
  return z ~ z >> 31
end

--- An integer from 1 to n.
function Generator:below(n)
  return (self:bits() >> 1) % n + 1
end

--- Whether something happens that does so with this probability.
function Generator:chance(probability)
  return (self:bits() >> 11) * 0x1p-53 < probability
end

function Generator:pick(list)
  return list[self:below(#list)]
end

--- One more line of the script that the case is.
function Generator:say(format, ...)
  self.lines[#self.lines + 1] = format:format(...)
  if self.trace then self.trace(self.lines[#self.lines]) end
end

local function scalar(value)
  if math.type(value) == "float" and value % 1 == 0 and value - value == 0 and math.abs(value) < 1e15 then
    return ("%.1f"):format(value)
  elseif type(value) == "string" and #value > 80 then
    local unit = value:sub(1, 1)
    if value == unit:rep(#value) then return ("(%q):rep(%d)"):format(unit, #value) end
  end
  return ("%q"):format(value):gsub("\\\n", "\\n")
end

local plain = { string = true, number = true, boolean = true, ["nil"] = true }

--- The text of a value: a number or a string as Lua writes it, a name for what was named, a list of what a table has.
function Generator:text(value, depth)
  if plain[type(value)] then return (scalar(value)) end
  local name = self.names[value]
  if name then return name end
  if type(value) ~= "table" or getmetatable(value) or (depth or 0) > 4 then return "<" .. type(value) .. ">" end
  local parts, last = {}, 0
  for key, item in next, value do
    if #parts == 40 then
      parts[#parts + 1] = "…"
      break
    end
    local label = ""
    if math.type(key) ~= "integer" or key ~= last + 1 then
      label = type(key) == "string" and key:find "^[%a_][%w_]*$" and key .. " = "
        or ("[%s] = "):format(self:text(key, (depth or 0) + 1))
    else
      last = key
    end
    parts[#parts + 1] = label .. self:text(item, (depth or 0) + 1)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

function Generator:texts(values)
  local parts = {}
  for i = 1, math.min(values.n, 12) do parts[i] = self:text(values[i]) end
  if values.n > 12 then parts[13] = ("… %d in all"):format(values.n) end
  return table.concat(parts, ", ")
end

--- Gives a value a name, under which later lines have it.
--- @param value anything that has an identity
--- @param prefix string what the name begins with
--- @param format string|nil its text; without, the line is not written
function Generator:name(value, prefix, format, ...)
  self.count = self.count + 1
  local name = prefix .. self.count
  self.names[value] = name
  if format then self:say("%s = %s", name, select("#", ...) > 0 and format:format(...) or format) end
  return value
end

--- Keeps a value for later calls.
function Generator:keep(kind, value)
  local list = self.pool[kind] or {}
  self.pool[kind] = list
  list[#list < 12 and #list + 1 or self:below(12)] = value
  return value
end

return Generator
