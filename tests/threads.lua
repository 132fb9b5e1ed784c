--- The bits of every experiment on 1, 2, 3, 5 and 16 threads: each file under experiments/ trains a few steps with its
-- own network, once for each number, and its last checkpoints must be the same file. Exits with 1 where they are not.
-- Usage: lua5.4 tests/threads.lua BUILD [FILE.lua …]; the runs are left in BUILD/threads when something differs.
local lfs = require "lfs"

local build = arg[1] or error("usage: lua5.4 tests/threads.lua BUILD [FILE.lua …]", 0)
local COUNTS <const> = { 1, 2, 3, 5, 16 }
local FOLDERS <const> = { "experiments", "experiments/ideas", "experiments/classics" }
local runs <const> = build .. "/threads"

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function all_files()
  local files = {}
  for _, folder in ipairs(FOLDERS) do
    for name in lfs.dir(folder) do
      if name:find "%.lua$" then files[#files + 1] = folder .. "/" .. name end
    end
  end
  table.sort(files)
  return files
end

--- The last checkpoint below a directory, and what the program printed.
local function train(file, threads)
  local directory = ("%s/%s-%d"):format(runs, file:gsub("[/.]", "_"), threads)
  local command = ("%s/smrun --trust --threads %d --runs %s %s steps=3 2>&1"):format(build, threads, quoted(directory),
    file)
  local pipe <close> = assert(io.popen(command))
  local printed = pipe:read "a"
  local find <close> = assert(io.popen("find " .. quoted(directory)
    .. " -name '*.safetensors' 2>/dev/null | sort | tail -1"))
  local path = find:read "l"
  if not path then return nil, printed end
  local content <close> = assert(io.open(path, "rb"))
  return content:read "a", printed
end

os.execute("rm -rf " .. quoted(runs)) -- a run that is there would not be made again
local differ = 0
for _, file in ipairs(#arg > 1 and table.move(arg, 2, #arg, 1, {}) or all_files()) do
  local first, printed = train(file, COUNTS[1])
  local said = first and "the same bits" or "left no checkpoint: " .. printed:gsub("\n+$", ""):match "[^\n]*$"
  for i = 2, first and #COUNTS or 0 do
    if train(file, COUNTS[i]) ~= first then
      differ = differ + 1
      said = ("OTHER BITS on %d threads"):format(COUNTS[i])
      break
    end
  end
  print(("%-44s %s"):format(file, said))
  io.stdout:flush()
end
if differ == 0 then os.execute("rm -rf " .. quoted(runs)) end
os.exit(differ == 0)
