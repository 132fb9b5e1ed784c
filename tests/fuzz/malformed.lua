--- Malformed files and run directories: written into a scratch directory, then read by smrun, in processes that may
--- take only so long. Nothing may end by a signal, hang, show a control code or what is inside the library, or fail
--- without a word that names the file. The same cases and choices for the same seed.
-- Usage: lua5.4 tests/fuzz/malformed.lua [--part=N] [--seed=N] [--only=PATTERN] [--keep] SMRUN
--   --part=N        one of N of the run directories, chosen by the seed; 1 by default
--   --only=PATTERN  those whose "kind: name" has it
--   --keep          leaves the scratch directory
local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = ("%s/?.lua;"):format(here) .. package.path
local data = require "malformed_data"
local plain = require "plain"
local runs = require "malformed_runs"

local options, smrun = { part = "1", seed = "1", only = "" }, nil
for _, word in ipairs(arg) do
  local name, value = word:match "^%-%-(%w+)=?(.*)$"
  if name then options[name] = value else smrun = word end
end
assert(smrun, "usage: lua5.4 tests/fuzz/malformed.lua [--part=N] [--seed=N] [--only=PATTERN] [--keep] SMRUN")
local part = assert(math.tointeger(tonumber(options.part)), "--part=N")
local seed = assert(math.tointeger(tonumber(options.seed)), "--seed=N")
math.randomseed(seed)

local LIMIT <const> = tonumber(os.getenv "LIMIT" or 60) -- seconds for one process
local BATCH <const> = 50

local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

if smrun:sub(1, 1) ~= "/" then smrun = output_of("pwd"):gsub("\n$", "") .. "/" .. smrun end
local scratch = output_of("mktemp -d"):gsub("\n$", "")

local function write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- An error of a sanitizer ends a process with 99. Nothing that waits for input may find any.
local ENVIRONMENT <const> = "UBSAN_OPTIONS=halt_on_error=1:exitcode=99:print_stacktrace=1 "
  .. "ASAN_OPTIONS=exitcode=99:detect_leaks=0:allocator_may_return_null=1 NO_COLOR=1 "

--- Runs smrun with words as a shell has them. @return integer its exit status, string what it said
local function run(words)
  local said = scratch .. "/said"
  local _, how, status = os.execute(("cd %s && %s timeout -s KILL %d %s %s >said 2>&1 </dev/null"):format(
    quote(scratch), ENVIRONMENT, LIMIT, quote(smrun), words))
  return how == "exit" and status or 128 + status, read(said)
end

local counts, findings = {}, 0

local function count(kind)
  counts[kind] = (counts[kind] or 0) + 1
end

local function finding(case, what, ...)
  findings = findings + 1
  print(("FINDING %s: %s: %s"):format(case.kind, case.name, what:format(...)))
end

--- What is wrong with what a command said.
local function wrong_output(status, said, input)
  if status >= 124 then return ("it ended with %d"):format(status) end
  if status == 99 or said:find "AddressSanitizer" or said:find "runtime error:" then return "a sanitizer's finding" end
  if status > 2 then return ("exit status %d"):format(status) end
  if status > 0 and not said:find "%S" then return "no word of what is wrong" end
  local code = said:match "[\0-\8\11-\31\127]" or said:match "\xE2\x80[\xAA-\xAE]" or said:match "\xE2\x81[\xA6-\xA9]"
  if code then return ("the code %q"):format(code) end
  if #said > 100000 then return ("%d bytes of output"):format(#said) end
  for line in said:gmatch "[^\n]+" do
    local bad = plain(line, input)
    if bad then return bad end
  end
end

-- Data -----------------------------------------------------------------------------------------------------------

--- Reads a batch of files in one process; those behind one that ended it in further ones.
local function read_batch(batch)
  local list = {}
  for i, case in ipairs(batch) do list[i] = case.path end
  write(scratch .. "/list", table.concat(list, "\n") .. "\n")
  write(scratch .. "/told", "")
  local reader <const> = output_of("realpath " .. quote(here)):gsub("\n$", "") .. "/malformed_read.lua"
  local status, said = run("--trust " .. quote(reader)) -- it names the library's own parts
  local done = 0
  local told = read(scratch .. "/told")
  for line in told:gmatch "begin\n([^\n]+)\n" do
    done = done + 1
    local case = batch[done]
    local message = line ~= "ok" and assert(load("return " .. line))() or nil
    local bad = message and (plain(message, case.bytes)
      or not message:find(case.path, 1, true) and "no file is named: " .. message)
    if bad then finding(case, "%s", bad) end
  end
  if done == #batch and status == 0 then return end
  finding(batch[math.min(done + 1, #batch)], "exit status %d: %s", status, said:sub(1, 3000))
  if done + 1 < #batch then read_batch { table.unpack(batch, done + 2) } end
end

--- One of so many cases.
local function chosen(cases, one_of)
  local list = {}
  for _, case in ipairs(cases) do
    local taken = math.random(one_of) == 1
    if taken and (case.kind .. ": " .. case.name):find(options.only) then list[#list + 1] = case end
  end
  return list
end

local function check_data()
  local batch, seen = {}, {}
  for number, case in ipairs(chosen(data.cases(scratch), 1)) do
    local key = case.ending .. case.bytes
    if not seen[key] then
      seen[key] = true
      case.path = ("%s/%s-%d.%s"):format(scratch, case.kind, number, case.ending)
      write(case.path, case.bytes)
      count(case.kind)
      batch[#batch + 1] = case
      if #batch == BATCH then
        read_batch(batch)
        batch = {}
      end
    end
  end
  if #batch > 0 then read_batch(batch) end
end

-- Run directories ------------------------------------------------------------------------------------------------

-- What is asked of a directory with another file of a kind; "$run" is the directory.
local COMMANDS <const> = {
  ["params.json"] = { "resume $run", "eval $run", "compare $run", "report $run" },
  ["summary.json"] = { "compare $run", "report $run", "eval $run" },
  ["classes.json"] = { "report $run" },
  ["environment.json"] = { "resume $run", "compare $run", "report $run" },
  ["metrics.csv"] = { "resume $run", "compare $run", "report $run" },
  ["experiment.lua"] = { "eval $run", "compare $run", "report $run" },
  ["spent.json"] = { "resume $run" },
  checkpoint = { "resume $run", "eval $run" },
  about = { "predict $run/checkpoints/step-000002.safetensors digit.png", "predict alone.safetensors digit.png",
    "export alone.safetensors --again --out exported.onnx" },
}

local EXPERIMENT <const> = [[
local sm = require "sm"
local p = sm.params { steps = 4, seed = 1, lr = 0.1, name = "x", deep = true }
return sm.experiment {
  data = sm.data.mnist_mini { validation = 240 },
  model = sm.nn.sequential { sm.nn.flatten(), sm.nn.linear { 3 }, sm.nn.batchnorm(), sm.nn.relu(),
    sm.nn.linear { 10 } },
  loss = "cross_entropy", optimizer = sm.optim.adam { lr = p.lr },
  schedule = { steps = p.steps, batch = 5, log = 1, evaluate = 2, checkpoint = 2 }, seed = p.seed,
}
]]

--- A good run, finished, and one that stopped at its first checkpoint. @return their directories
local function make_runs()
  write(scratch .. "/tiny.lua", EXPERIMENT)
  local status, said = run("--runs good tiny.lua")
  assert(status == 0, said)
  local finished, begun = scratch .. "/good/tiny/default", scratch .. "/begun/tiny/default"
  os.execute(("mkdir -p %s/begun/tiny && cp -a %s %s && cd %s && rm summary.json checkpoints/*4.safetensors && "
    .. "rm -f report.html"):format(scratch, finished, begun, begun))
  write(begun .. "/spent.json",
    '{\n  "row_seconds": 0.5,\n  "step": 2,\n  "training_seconds": 1,\n  "wall_seconds": 2\n}\n')
  return finished, begun
end

--- Another checkpoint, made by smrun of a good one.
local function change_checkpoint(path, change)
  local sm = require "sm"
  local tensors, metadata = sm.load(path)
  local copy, words = {}, {}
  for name, tensor in pairs(tensors) do copy[name] = tensor end
  for key, text in pairs(metadata) do words[key] = text end
  change(copy, words, sm)
  sm.save(path, copy, words)
end

local function prepare(case, from, file)
  local directory = scratch .. "/case/tiny/default"
  os.execute(("cd %s && chmod -R u+rwX case 2>/dev/null; rm -rf case && mkdir -p case/tiny && cp -a %s %s"):format(
    scratch, from, directory))
  local path = directory .. "/" .. file
  if case.text then
    write(path, case.text)
  elseif case.make then
    os.execute(("file=%s; %s"):format(path, case.make))
  else
    change_checkpoint(path, case.checkpoint)
  end
end

local function check_runs()
  local finished, begun = make_runs()
  local checkpoint = "checkpoints/step-000002.safetensors"
  local files, of_finished = { checkpoint = read(begun .. "/" .. checkpoint) }, {}
  for _, name in ipairs { "summary.json", "classes.json" } do
    files[name], of_finished[name] = read(finished .. "/" .. name), true
  end
  for _, name in ipairs { "params.json", "environment.json", "metrics.csv", "experiment.lua", "spent.json" } do
    files[name] = read(begun .. "/" .. name)
  end
  local sm = require "sm"
  local _, metadata = sm.load(begun .. "/" .. checkpoint)
  sm.png.save(scratch .. "/digit.png", sm.full({ 28, 28, 1 }, 0.5))
  for _, case in ipairs(chosen(runs.cases(files, metadata), part)) do
    count(case.kind)
    local commands = COMMANDS[case.kind]
    local from = of_finished[case.kind] and finished or begun
    for i, command in ipairs(commands) do
      if i == 1 or command:find "^resume" or commands[i - 1]:find "^resume" then
        prepare(case, from, case.file == "checkpoint" and checkpoint or case.file)
        if case.kind == "about" then
          os.execute(("cp %s/case/tiny/default/%s %s/alone.safetensors"):format(scratch, checkpoint, scratch))
        end
      end
      local status, said = run((command:gsub("$run", "case/tiny/default")))
      local own = case.kind == "experiment.lua" and not said:find "sm/[%w_/]+%.lua:%d" and "attempt to " or ""
      local bad = wrong_output(status, said, (case.text or "") .. own)
      if bad then finding(case, "%s: %s\n%s", command, bad, said:sub(1, 1500)) end
    end
  end
end

--- Runs and pictures whose names are odd.
local function check_names()
  if not ("names"):find(options.only) then return end
  os.execute(("cd %s && rm -rf case && mkdir -p case"):format(scratch))
  for i, name in ipairs(runs.names) do
    if math.random(part) == 1 then
      count "names"
      local path = ("%s/case/%s"):format(scratch, name)
      os.execute(("cp -a %s/good/tiny/default %s && mkdir -p %s/plots"):format(scratch, quote(path), quote(path)))
      write(path .. "/plots/" .. name:sub(1, 240) .. ".png", "\x89PNG\r\n\26\n\0\0\0\13IHDR\0\0\0\1\0\0\0\1")
      for _, command in ipairs { "compare", "report", "eval" } do
        local status, said = run(("%s -- %s"):format(command, quote("case/" .. name)))
        local bad = wrong_output(status, said, "")
        if bad then finding({ kind = "names", name = tostring(i) }, "%s: %s\n%s", command, bad, said:sub(1, 1500)) end
      end
    end
  end
  for _, command in ipairs { "compare case", "report case" } do
    local status, said = run(command)
    local bad = wrong_output(status, said, "")
    if bad then finding({ kind = "names", name = "all" }, "%s: %s\n%s", command, bad, said:sub(1, 1500)) end
  end
end

check_data()
check_runs()
check_names()
os.execute(("chmod -R u+rwX %s 2>/dev/null"):format(scratch))
if options.keep then print("kept: " .. scratch) else os.execute("rm -rf " .. scratch) end
local total, kinds = 0, {}
for kind, number in pairs(counts) do
  total, kinds[#kinds + 1] = total + number, ("%d %s"):format(number, kind)
end
table.sort(kinds)
print(("%d malformed inputs (%s), seed %d: %d findings"):format(total, table.concat(kinds, ", "), seed, findings))
os.exit(findings == 0 and total > 0)
