--- Runs cases of the fuzzer of the interface, in the current directory, which is its own: child.lua FIRST CALLS SECONDS
-- TRACE LIMIT. Writes to the file "log": "seed N" before each case, findings and, with TRACE, every line of a case.
local first, calls, seconds, trace, limit = table.unpack(arg)
first, calls, seconds, limit = math.tointeger(first), math.tointeger(calls), tonumber(seconds), tonumber(limit)
arg = nil -- luacheck: ignore (or sm.experiment would take this file for an experiment's)

local log <const> = assert(io.open("log", "w"))
log:setvbuf "line"

local runtime = require "sm.runtime"
local release <const> = runtime.tensor.release -- which no script sees, once the library is loaded
local sm = require "sm"
local Values = require "values"
local Recipes = require "recipes"
local Catalogue = require "catalogue"
local Oracle = require "oracle"
require "samples".collect()

local function write_file(name, bytes)
  local file <close> = assert(io.open(name, "wb"))
  file:write(bytes)
end

write_file("experiment.lua", "return nil\n")
assert(require "lfs".mkdir "runs")
write_file("images.idx", string.pack(">I4I4I4I4", 0x803, 4, 3, 3) .. ("\1"):rep(36))
write_file("labels.idx", string.pack(">I4I4", 0x801, 4) .. "\0\1\2\3")
sm.save("kept.npy", sm.ones(2, 2))
sm.save("kept.safetensors", { w = sm.ones(2, 2) })

local entries <const> = Catalogue.find(Values.new(1))
local statistics <const> = {} -- name → {calls, of which went well, longest in seconds}
for _, entry in ipairs(entries) do statistics[entry.name] = { 0, 0, 0 } end
local canary <const> = Oracle.canary()
local clock, pcall, unpack <const> = os.clock, pcall, table.unpack

local function new_case(seed)
  sm.seed(seed)
  runtime.system.set_threads(2)
  local g = Values.new(seed)
  g.functions = entries
  g.release = function(x)
    g.meddled = true
    pcall(release, x)
  end
  if trace ~= "" then g.trace = function(line) log:write("| ", line, "\n") end end
  return g
end

local function finding(seed, g, entry, what, detail)
  log:write(("finding\t%d\t%s\t%s\t%s\n"):format(seed, entry.name, what, (("%q"):format(detail):gsub("\\\n", "\\n"))))
  for _, line in ipairs(g.lines) do log:write("| ", line, "\n") end
end

-- Ways to call: each gives what pcall gives.
local WAYS = {
  plain = function(f, arguments) return table.pack(pcall(f, unpack(arguments, 1, arguments.n))) end,
  coroutine = function(f, arguments)
    local co = coroutine.create(f)
    local results = table.pack(coroutine.resume(co, unpack(arguments, 1, arguments.n)))
    for _ = 1, 5 do
      if coroutine.status(co) ~= "suspended" then break end
      results = table.pack(coroutine.resume(co, 1))
    end
    coroutine.close(co) -- after an error too: it closes variables
    return results
  end,
  deep_in_c = function(f, arguments, g)
    local results
    local function nest(depth)
      if depth == 0 then
        results = table.pack(pcall(f, unpack(arguments, 1, arguments.n)))
      else
        string.gsub("x", "x", function() nest(depth - 1) end)
      end
    end
    local reached, message = pcall(nest, 150 + g:below(45))
    return results or table.pack(reached, message)
  end,
  deep_in_lua = function(f, arguments, g)
    local results
    local function nest(depth, ...)
      if depth == 0 then results = table.pack(pcall(f, unpack(arguments, 1, arguments.n))) else nest(depth - 1, ...) end
      return 1
    end
    local reached, message = pcall(nest, 1800 + g:below(160), unpack({}, 1, 250))
    return results or table.pack(reached, message)
  end,
}

--- One call with what it needs; true where the process is to be left.
local function call(seed, g)
  local entry = g:pick(entries)
  local arguments = Recipes.arguments(g, entry)
  local hostile = g:chance(0.6)
  if hostile then Recipes.spoil(g, arguments, entry.kind and not g:chance(0.1) and 2 or 1) end
  if g:chance(0.01) then
    local last = g:pick { 250, 300, 10000, 200000 }
    for i = arguments.n + 1, last do arguments[i] = i % 3 end
    arguments.n = last
  end
  local way = g:chance(0.06) and g:pick { "coroutine", "coroutine", "deep_in_c", "deep_in_lua" } or "plain"
  local given = g:texts(arguments)
  g:say("%s(%s)%s", entry.name, given, way == "plain" and "" or " -- " .. way)
  local prints = not entry.changes and Oracle.prints(arguments)
  local statistic, started = statistics[entry.name], clock()
  g.meddled = false
  local results = WAYS[way](entry.f, arguments, g)
  local took = clock() - started
  statistic[1], statistic[3] = statistic[1] + 1, math.max(statistic[3], took)
  if took > limit then finding(seed, g, entry, "slow", ("%.1f s"):format(took)) end
  if results[1] then
    statistic[2] = statistic[2] + 1
    for i = 2, math.min(results.n, 4) do
      local value, kind = results[i], type(results[i])
      if runtime.tensor.is_tensor(value) then
        if not g.names[value] then g:say("-- gives %s", g.names[g:name(value, "r")]) end
        g:keep("tensor", value)
      elseif (kind == "table" or kind == "function" or kind == "userdata") and not g.names[value] then
        g:keep("result", g:name(value, "r"))
        g:say("-- gives %s", g.names[value])
      end
    end
    Oracle.prints(results)
  else
    local complaint = Oracle.complaint(results[2], table.concat(g.lines), entry.kernel or not entry.public)
    if complaint then finding(seed, g, entry, complaint, tostring(results[2]):sub(1, 500)) end
  end
  if prints and not g.meddled then
    local x, before, now = Oracle.changed(prints)
    if x then finding(seed, g, entry, "a changed argument", ("%s: %s, now %s"):format(g:text(x), before, now)) end
  end
  local worked, figures = pcall(Oracle.canary)
  if worked and figures == canary then return false end
  finding(seed, g, entry, "the library does not work any more", tostring(figures))
  return true
end

local function case(seed)
  local g = new_case(seed)
  for _ = 1, g:below(6) do
    local ok, left = pcall(call, seed, g)
    if not ok and trace ~= "" then log:write("| ", tostring(left), "\n") end
    local complaint = not ok and Oracle.complaint(left, "", true)
    if complaint then finding(seed, g, { name = "what makes values" }, complaint, tostring(left)) end
    if ok and left then return true end
  end
end

local seed, started, began = first, clock(), os.time()
while seed < first + calls and clock() - started < seconds and os.time() - began <= seconds do
  log:write("seed ", seed, "\n")
  local left = case(seed)
  seed = seed + 1
  if left then break end
end
for _, entry in ipairs(entries) do
  log:write(("called\t%s\t%d\t%d\t%.3f\n"):format(entry.name, unpack(statistics[entry.name])))
end
log:write("done ", seed, "\n")
log:close()
os.exit(true, true)
