--- Trains every experiment with 1, 2, 3 and 5 threads and compares what they leave, byte by byte: weights, optimizer
-- memory, and what plain scripts print. Takes some minutes; the specs do the same on a few images.
-- Usage: lua5.4 tests/fault/threads.lua [steps] [data set]    environment: SMRUN, LUA_PATH, LUA_CPATH as for specs
local lfs = require "lfs"

local steps, data = math.tointeger(arg[1] or 200), arg[2] or "mnist"
local smrun = os.getenv "SMRUN" or "build/smrun"
local THREADS <const> = { 1, 2, 3, 5 }

local home = os.tmpname()
os.remove(home)
assert(lfs.mkdir(home))

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- The tensors of a safetensors file: all that follows its header, whose length comes first.
local function tensors(path)
  local content = read(path)
  return content:sub(9 + string.unpack("<I8", content))
end

--- What one run leaves: the last checkpoint's bytes, or the output of a script that trains nothing by itself.
local function outcome(name, threads)
  local runs, output = ("%s/%d"):format(home, threads), home .. "/output"
  local takes = read("experiments/" .. name .. ".lua")
  local parameters = (takes:find "%f[%w]data%s*=%s*\"" and " data=" .. data or "")
    .. (takes:find "%f[%w]steps%s*=%s*%d" and " steps=" .. steps or "")
  local command = ("'%s' --quiet --threads %d --runs '%s' experiments/%s.lua%s >'%s' 2>&1")
    :format(smrun, threads, runs, name, parameters, output)
  if not os.execute(command) then error(command .. "\n" .. read(output), 0) end
  local folder = runs .. "/" .. name
  if lfs.attributes(folder, "mode") ~= "directory" then return read(output), "its output" end
  for variant in lfs.dir(folder) do
    local checkpoints, last = ("%s/%s/checkpoints"):format(folder, variant), ""
    if variant:sub(1, 1) ~= "." and lfs.attributes(checkpoints, "mode") == "directory" then
      for file in lfs.dir(checkpoints) do last = file > last and file or last end
      return tensors(checkpoints .. "/" .. last), last
    end
  end
  error(("%s left no checkpoint in %s"):format(name, folder), 0)
end

local names = {}
for file in lfs.dir "experiments" do names[#names + 1] = file:match "^([%w_]+)%.lua$" end
table.sort(names)
local failed = 0
for _, name in ipairs(names) do
  local first, what = outcome(name, THREADS[1])
  local differing = {}
  for i = 2, #THREADS do
    if outcome(name, THREADS[i]) ~= first then differing[#differing + 1] = THREADS[i] end
  end
  local verdict = #differing == 0 and "the same with 1, 2, 3 and 5 threads"
    or "DIFFERS with " .. table.concat(differing, ", ") .. " threads"
  failed = failed + (#differing > 0 and 1 or 0)
  print(("%-16s %s, %d bytes: %s"):format(name, what, #first, verdict))
  os.execute(("rm -r '%s'"):format(home))
  assert(lfs.mkdir(home))
end
os.execute(("rm -r '%s'"):format(home))
print(("%d experiments, %d failed"):format(#names, failed))
os.exit(failed == 0 and #names > 0)
