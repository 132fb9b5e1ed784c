--- How much a confined experiment may use: the options that say so, what holds without them, and the words for both.
local usage = require "sm.usage"

local M = {}

local KILO <const>, DAY <const> = 1024, 24 * 60 * 60

local SIZES <const> = { [""] = 1, K = KILO, M = KILO << 10, G = KILO << 20, T = KILO << 30 }
local TIMES <const> = { [""] = 1, s = 1, m = 60, h = 60 * 60, d = DAY }

--- The least and the most of each. What is less than the least is a unit forgotten.
local LEAST_MEMORY <const>, LEAST_DISK <const>, MOST_BYTES <const> = SIZES.M, SIZES.K, 1024 * SIZES.T
local LEAST_TIME <const>, LEAST_CPU <const>, MOST_TIME <const> = 0.1, 1, 36500 * DAY
local MOST_FILES <const> = 1000 * 1000 * 1000

local DEFAULT_TIME <const> = 30 * DAY
local DEFAULT_DISK <const>, DEFAULT_FILES <const> = 100 * SIZES.G, 100000
local SHARE_OF_MEMORY <const> = 0.75
local UNKNOWN_MEMORY <const> = 4 * SIZES.G -- where the system does not say how much there is

---- words

--- A number with one digit after the point, or none where that is 0.
local function short(number)
  return (("%.1f"):format(number):gsub("%.0$", ""))
end

local function grouped(count)
  return (("%d"):format(count):reverse():gsub("%d%d%d", "%0,"):reverse():gsub("^,", ""))
end

local function unit(count, name)
  return ("%s %s%s"):format(short(count), name, short(count) == "1" and "" or "s")
end

--- "300 MB", "17.6 GB": of 1024, as in the options.
local function size(bytes)
  if bytes < KILO then return unit(bytes, "byte") end
  local left, names = bytes / KILO, { "KB", "MB", "GB", "TB" }
  local i = 1
  while i < #names and tonumber(short(left)) >= KILO do left, i = left / KILO, i + 1 end
  return ("%s %s"):format(short(left), names[i])
end

--- "30 days", "1.5 hours".
local function time(seconds)
  if seconds >= 2 * DAY or seconds == DAY then return unit(seconds / DAY, "day") end
  if seconds >= TIMES.h then return unit(seconds / TIMES.h, "hour") end
  if seconds >= 2 * TIMES.m or seconds == TIMES.m then return unit(seconds / TIMES.m, "minute") end
  return unit(seconds, "second")
end

M.size_words, M.time_words = size, time

--- What holds: "at most 17.6 GB of memory, 30 days, 100 GB and 100,000 files".
--- @param limits table of `of`
function M.words(limits)
  local cpu = limits.cpu < DEFAULT_TIME and (", %s of processor time"):format(time(limits.cpu)) or ""
  return ("at most %s of memory, %s%s, %s and %s file%s"):format(size(limits.memory), time(limits.time), cpu,
    size(limits.disk), grouped(limits.files), limits.files == 1 and "" or "s")
end

--- What an experiment is told that has used up its memory.
function M.memory_words(bytes)
  return ("not enough memory; the limit is %s (--max-memory)"):format(size(bytes))
end

---- options

local function number_and_unit(text, units)
  local digits, name = text:match "^%s*(%-?%d*%.?%d*)%s*(%a*)%s*$"
  local number = digits and tonumber(digits)
  return number and units[name] and number * units[name]
end

--- @param words function that writes a value
--- @param meant string|nil the unit of whoever gives none and far too little
local function within(option, given, value, least, most, words, meant)
  if value < least or value > most then
    local hint = meant and value > 0 and value < least and given:find "^%d+$" and ("; did you mean %s%s?"):format(given,
      meant) or ""
    usage.fail("option '--%s' must be from %s to %s, got '%s'%s", option, words(least), words(most), given, hint)
  end
  return value
end

local function bytes_of(least)
  return function(option, text)
    local value = number_and_unit(text, SIZES) or number_and_unit(text:upper():gsub("(%a)I?B$", "%1"), SIZES)
    if not value then
      usage.fail("option '--%s' must be a size such as 500M, 1.5G or 2T, got '%s'", option, text)
    end
    return within(option, text, value, least, MOST_BYTES, size, "G") // 1 | 0
  end
end

local function seconds_of(least)
  return function(option, text)
    local value = number_and_unit(text, TIMES)
    if not value then
      usage.fail("option '--%s' must be seconds or a time such as 90s, 15m, 2h or 7d, got '%s'", option, text)
    end
    return within(option, text, value, least, MOST_TIME, time)
  end
end

local function count(option, text)
  local value = text:find "^%s*%-?%d+%s*$" and tonumber(text)
  if not value then usage.fail("option '--%s' must be an integer, got '%s'", option, text) end
  return within(option, text, value, 1, MOST_FILES, grouped) // 1 | 0
end

local readers <const> = {
  { "memory", bytes_of(LEAST_MEMORY) }, { "time", seconds_of(LEAST_TIME) }, { "cpu", seconds_of(LEAST_CPU) },
  { "disk", bytes_of(LEAST_DISK) }, { "files", count },
}

--- The names of the options that say what a confined experiment may do, as the parser has them.
M.options = { trust = true, read = true, write = true }
for _, reader in ipairs(readers) do M.options["max_" .. reader[1]] = true end

--- Replaces the texts that the command line gives by numbers: of bytes, of seconds, of files. Raises where one is none.
function M.read(given)
  for _, reader in ipairs(readers) do
    local name = "max_" .. reader[1]
    if given[name] then
      if given.trust then
        usage.fail("option '--max-%s' does not go with --trust, which sets no limits", reader[1])
      end
      given[name] = reader[2]("max-" .. reader[1], given[name])
    end
  end
end

---- what holds

--- The least of the numbers that a file's first line has, and of `most`.
local function least(path, most)
  local file <close> = io.open(path)
  local line = file and file:read "l"
  local number = line and tonumber(line:match "^%d+")
  return number and number < most and number or most
end

--- What this machine has, or what a control group (version 2) leaves of it.
local function all_memory()
  local file <close> = io.open "/proc/meminfo"
  local kilobytes = file and (file:read "a" or ""):match "MemTotal:%s*(%d+) kB"
  local bytes = kilobytes and tonumber(kilobytes) * KILO or math.huge
  local groups <close> = io.open "/proc/self/cgroup"
  local group = groups and ("\n" .. (groups:read "a" or "")):match "\n0::([^\n]*)" or ""
  while group ~= "" do
    bytes = least("/sys/fs/cgroup" .. group .. "/memory.max", bytes)
    group = group:match "^(.*)/[^/]*$" or ""
  end
  bytes = least("/sys/fs/cgroup/memory.max", bytes)
  return bytes < math.huge and bytes or UNKNOWN_MEMORY
end

--- The limits of a run: what the command line gives, and for the rest what holds without. Runs of a sweep that go on at
--- once, and ranks on one machine, share the memory.
--- @param given table of sm.cli.options
--- @return table {memory=, time=, cpu=, disk=, files=}: bytes, seconds, seconds, bytes, a number of files
function M.of(given)
  return {
    memory = given.max_memory
      or math.max(LEAST_MEMORY, SHARE_OF_MEMORY * all_memory() / (given.jobs or given.here or 1) // 1 | 0),
    time = given.max_time or DEFAULT_TIME,
    cpu = given.max_cpu or DEFAULT_TIME * (given.threads or require "sm.runtime".system.threads()),
    disk = given.max_disk or DEFAULT_DISK,
    files = given.max_files or DEFAULT_FILES,
  }
end

--- The words that hand all this on to a run of a sweep, a process of its own.
--- @param apart boolean|nil whether runs that go on at once share no machine
function M.words_of(given, apart)
  if given.trust then return { "--trust" } end
  local words = {}
  for _, name in ipairs { "read", "write" } do
    for _, directory in ipairs(given[name] or {}) do words[#words + 1] = ("--%s=%s"):format(name, directory) end
  end
  for _, reader in ipairs(readers) do
    local value = given["max_" .. reader[1]]
    if reader[1] == "memory" and not apart and (given.jobs or 1) > 1 then value = M.of(given).memory end
    if value then
      local digits = ("%.14f"):format(value):gsub("%.?0+$", "")
      words[#words + 1] = ("--max-%s=%s"):format(reader[1], digits)
    end
  end
  return words
end

return M
