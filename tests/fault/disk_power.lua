--- What a power cut leaves: from what a run did to its files, in their order, the disk is made as it may stand after
--- each of these moments. Then no checkpoint is lost after which the program has begun a step, and the run that goes on
--- ends with the same bytes. What a sync has not brought to the disk may be there or not:
---   nothing   only what was synced is there
---   names     all files have the names that they were given, and only the content that was synced
---   random    of the changes of each directory since its last sync a part is there, the first ones or any; of a file's
---             content a part, or as many zeros
-- Usage: tests/fault/disk.sh BUILD power [seconds=S] [seed=N]
-- Without seconds every moment; else as many as there is time for, chosen by the seed.
local lfs = require "lfs"
local runs = dofile "tests/fault/disk_runs.lua"
local support = runs.support

local settings = { seed = os.time() }
for _, word in ipairs(arg) do
  local key, value = word:match "^(%l+)=(.*)$"
  settings[key] = tonumber(value) or value
end
math.randomseed(settings.seed)

-- The disk ---------------------------------------------------------------------------------------------------

-- A file is {data=, synced=(string or nil)}. A directory is {entries=(name → file or directory), synced=(the same as of
-- its last sync), changes=(since then, each {name=, to=(what it is from then on, nil for nothing)}, or two together)}.
local function new_directory()
  return { entries = {}, synced = {}, changes = {} }
end

--- What lies at a path beneath the root; its directory; its name there.
local function find(root, path)
  local found, directory, name = root, nil, nil
  for part in path:sub(#runs.disk + 2):gmatch "[^/]+" do
    directory, name = found, part
    found = directory and directory.entries and directory.entries[part]
  end
  return found, directory, name
end

local function change(directory, ...)
  for _, one in ipairs { ... } do directory.entries[one.name] = one.to end
  directory.changes[#directory.changes + 1] = { ... }
end

local function sync(thing)
  if thing.entries then
    thing.synced, thing.changes = {}, {}
    for name, inner in pairs(thing.entries) do thing.synced[name] = inner end
  else
    thing.synced = thing.data
  end
end

local happens = {
  M = function(root, path)
    local _, directory, name = find(root, path)
    if directory then change(directory, { name = name, to = new_directory() }) end
  end,
  C = function(root, path)
    local file, directory, name = find(root, path)
    if file then file.data = "" else change(directory, { name = name, to = { data = "" } }) end
  end,
  W = function(root, path, data, at)
    local file = find(root, path)
    if not file then return end -- it has been removed
    local front = file.data:sub(1, at)
    file.data = front .. ("\0"):rep(at - #front) .. data .. file.data:sub(at + #data + 1)
  end,
  T = function(root, path, _, at)
    local file = find(root, path)
    file.data = file.data:sub(1, at)
  end,
  S = function(root, path)
    local thing = find(root, path)
    if thing then sync(thing) end
  end,
  U = function(root, path)
    local _, directory, name = find(root, path)
    change(directory, { name = name })
  end,
  R = function(root, path, to)
    local thing, from, name = find(root, path)
    local _, directory, new = find(root, to)
    if from == directory then return change(from, { name = new, to = thing }, { name = name }) end
    change(directory, { name = new, to = thing })
    change(from, { name = name })
  end,
}

--- A disk that has what a directory has, all of it synced.
local function load_disk(path)
  local directory = new_directory()
  for name in lfs.dir(path) do
    local inner = path .. "/" .. name
    local mode = lfs.symlinkattributes(inner, "mode")
    if mode == "file" then
      local text = support.read(inner)
      directory.entries[name] = { data = text, synced = text }
    elseif mode == "directory" and name ~= "." and name ~= ".." then
      directory.entries[name] = load_disk(inner)
    end
  end
  sync(directory)
  return directory
end

-- What is left of it -----------------------------------------------------------------------------------------

local function some_entries(directory)
  local entries, any = {}, math.random() < 0.5
  local most = math.random(0, #directory.changes)
  for name, inner in pairs(directory.synced) do entries[name] = inner end
  for i, together in ipairs(directory.changes) do
    if any and math.random() < 0.5 or not any and i <= most then
      for _, one in ipairs(together) do entries[one.name] = one.to end
    end
  end
  return entries
end

--- What was synced, and of what came behind it a part, or so many zeros. The files of a run grow, and are not changed.
local function some_data(file)
  local kept, chance = file.synced or "", math.random()
  assert(file.data:sub(1, #kept) == kept, "a file was changed in its place")
  local length = math.random(0, #file.data - #kept)
  if chance < 0.3 then return kept end
  if chance < 0.5 then return kept .. ("\0"):rep(length) end
  return chance < 0.75 and file.data or file.data:sub(1, #kept + length)
end

local kinds = {
  { "nothing", function(directory) return directory.synced end, function(file) return file.synced or "" end },
  { "names", function(directory) return directory.entries end, function(file) return file.synced or "" end },
  { "random", some_entries, some_data },
}

--- place → content; a directory's place ends in a slash.
local function left(directory, kind, found, place)
  for name, inner in pairs(kind[2](directory)) do
    if inner.entries then
      found[place .. name .. "/"] = ""
      left(inner, kind, found, place .. name .. "/")
    else
      found[place .. name] = kind[3](inner)
    end
  end
  return found
end

local function sorted(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function put(found)
  runs.clear()
  for _, place in ipairs(sorted(found)) do
    if place:sub(-1) == "/" then assert(lfs.mkdir(runs.disk .. "/" .. place))
    else support.write(runs.disk .. "/" .. place, found[place]) end
  end
end

-- The runs ---------------------------------------------------------------------------------------------------

local home = runs.workspace()
local process = runs.processes()[1]
runs.clear()
local code, _, whole = runs.start(runs.train(), { record = true })
assert(code == 0, "the whole run failed")
local expected = runs.outcome(runs.run)
local halfway = runs.stopped(expected, process)
local before = load_disk(halfway)
runs.copy(halfway)
local again, _, rest = runs.start(("resume '%s'"):format(runs.run), { record = true })
assert(again == 0, "the run did not go on")

--- All that may be left: {found=, kind=, moment=, said=, finished=}, each once for what was said by then.
local function moments(disk, records, name, cases)
  local position, number, output, seen = 1, 0, {}, {}
  while position <= #records do
    local letter, at, a_bytes, b_bytes, start = ("<c1I8I4I4"):unpack(records, position)
    local middle <const> = start + a_bytes
    local path, text = records:sub(start, middle - 1), records:sub(middle, middle + b_bytes - 1)
    position, number = middle + b_bytes, number + 1
    if letter == "P" then output[#output + 1] = text else happens[letter](disk, path, text, at) end
    local printed = table.concat(output)
    for _, kind in ipairs(kinds) do
      local found, parts = left(disk, kind, {}, ""), { printed }
      for _, place in ipairs(sorted(found)) do parts[#parts + 1] = place .. "\0" .. found[place] end
      local whole_text = table.concat(parts, "\0")
      if not seen[whole_text] then
        seen[whole_text] = true
        cases[#cases + 1] = { found = found, kind = kind[1], moment = number, said = runs.said(printed), name = name,
          finished = printed:find("test accuracy", 1, true) }
      end
    end
  end
  return number
end

local cases = {}
local count = moments(new_directory(), whole.records, "a run", cases)
  + moments(before, rest.records, "one that goes on", cases)
if settings.seconds then
  for i = #cases, 2, -1 do
    local j = math.random(i)
    cases[i], cases[j] = cases[j], cases[i]
  end
end

local function kept_time(place) return place == "spent.json" end

local tried, broken, started = 0, 0, os.time()
for _, case in ipairs(cases) do
  if settings.seconds and os.time() - started >= settings.seconds then break end
  put(case.found)
  local wrong = runs.lost(runs.run, case.said, expected)
  if not wrong and case.finished and not lfs.attributes(runs.run .. "/summary.json") then
    wrong = "what was said to be finished is not"
  end
  local ended, output = runs.start(runs.train())
  runs.start(("report '%s'"):format(runs.run)) -- takes away what is left of a report
  if ended ~= 0 then wrong = ("%s; it does not go on: %s %s"):format(wrong or "", ended, output) end
  wrong = wrong or runs.difference(expected, runs.run, kept_time)
  tried = tried + 1
  if wrong then
    broken = broken + 1
    print(("%s, moment %d, %s: %s"):format(case.name, case.moment, case.kind, wrong))
  end
end
support.remove(home)
print(("%d of %d disks tried, as they may stand after %d moments, seed %d: %d broken"):format(tried, #cases, count,
  settings.seed, broken))
os.exit(broken == 0 and tried > 0)
