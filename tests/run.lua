--- Runs every C test and every Lua spec against the builds named on the command line, and closes with "N passed,
-- N failed". The exit status is 1 if anything failed, or if a program ended without saying what it ran. The first build
-- takes all specs; a build in double, and one for an emulator, those of single operations.
-- Usage: lua5.4 tests/run.lua [--c | --later | --memory | --numbers | --products] [--level=LEVEL] [--kernel=KERNEL]
--   BUILD…
--   --c        leaves out all specs
--   --later    takes those that wait for limits, which are left out without it, and no others
--   --memory   leaves out the specs of whole programs, whose C code others run in smaller pieces
--   --numbers  leaves out the specs that touch no numbers
--   --products leaves out all but those that look closely at what matrix products and convolutions give
--   --level    hides what the processor has beyond an instruction-set level from the loader: base, x86-64-v3, …
--   --kernel   has OpenBLAS take these kernels: Haswell, SkylakeX, Zen, …
-- Environment: SPECS="pattern" picks specs, PRELOAD=library for lua5.4, EMULATOR="command" runs programs for another
-- processor, among them the one that LUA="file" names. HELPER=file is busted's --helper, and leaves C tests out.
-- JOBS=n runs n at once, else there are as many as processors.
local lfs = require "lfs"
local parallel = dofile "tests/parallel.lua"
local run = parallel.run

local passed, failed = 0, 0
local OPERATIONS = {
  autograd = true, graphs = true, group_layers = true, inplace = true, integers = true, nn = true, ops = true,
  optim = true, optim_define = true, pointwise = true, range = true, records = true, sequences = true, tensor = true,
  torch = true, torch_records = true, torch_weights = true, transform = true,
}

-- Every other spec touches numbers that an instruction set or a kernel may change.
local NO_NUMBERS = {
  allowed = true, bench = true, bindings = true, calls = true, classics = true, cli = true, closed = true,
  compare = true, complete = true, confine = true, confined = true, control_codes = true, definitions = true,
  descriptors = true, documents = true, experiments = true, export = true, fetch = true, file_bindings = true,
  foreign_runs = true, globals = true, hostile = true, house = true, ideas = true, index = true, install = true,
  large_files = true, limits = true, links = true, load_run = true, malformed_files = true, malformed_runs = true,
  memory_limit = true, messages = true, named_tensors = true, numbers = true, old_runs = true, onnx = true,
  own_data = true, own_steps = true, own_views = true, paint = true, params = true, paths = true, permits = true,
  plan = true, png = true, predict = true, problem = true, prompt = true, query = true, raising = true, reach = true,
  reentry = true, reference = true, report = true, report_browser = true, revision = true, rock = true,
  run_identity = true, runner = true, script = true, seeds = true, supervisor = true, sweep = true, text = true,
  torch_weights = true, transform_runs = true, unsaved = true, version = true, widths = true, worker = true,
  worker_limits = true,
}

-- Whole programs and what they say, and whole trainings: long under sanitizers.
local PROGRAMS = {
  bench = true, bits = true, classics = true, cli = true, compare = true, complete = true, confine = true,
  confined = true, documents = true, experiments = true, export = true, fetch = true, ideas = true, index = true,
  install = true, memory_limit = true, messages = true, paths = true, permits = true, plan = true, predict = true,
  prompt = true, query = true, reference = true, report_browser = true, revision = true, rock = true,
  run_identity = true, runner = true, supervisor = true, sweep = true, worker = true, worker_limits = true,
}

-- What takes its time waiting for limits to be reached: `make check` has it, and whoever names it.
local LATER <const> = { memory_limit = true, worker_limits = true }

-- What OpenBLAS's kernels may change.
local PRODUCTS = {
  accuracy = true, bits = true, nn = true, ops = true, range = true, records = true, sequences = true, torch = true,
  torch_records = true, windows = true,
}

-- What glibc.cpu.hwcaps hides, so that its loader takes the level.
local HIDDEN = { base = "-AVX512F,-AVX2", ["x86-64-v3"] = "-AVX512F" }

-- What would change what is tested, but for what is asked for here.
local UNSET = "env -u LUA_INIT -u LUA_INIT_5_4 -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u SMRUN_CONV -u SMRUN_GEMM "
  .. "-u OPENBLAS_CORETYPE -u OPENBLAS_NUM_THREADS -u OMP_NUM_THREADS -u SM_TRACEBACK -u NO_COLOR "
  .. "-u CMOCKA_MESSAGE_OUTPUT -u CMOCKA_XML_FILE -u CMOCKA_TEST_FILTER -u CMOCKA_SKIP_FILTER "

local emulator, helper = os.getenv "EMULATOR" or "", os.getenv "HELPER"
local options, builds = {}, {}
for _, argument in ipairs(arg) do
  local name, value = argument:match "^%-%-(%w+)=?(.*)$"
  if name then options[name] = value else builds[#builds + 1] = argument end
end

local function files(directory, pattern)
  local found = {}
  for name in lfs.dir(directory) do
    if name:find(pattern) then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

--- The part of a command that sets its environment: `assignments`, and what the options ask for.
local function environment(assignments)
  local hidden = options.level and HIDDEN[options.level]
  return UNSET .. (hidden and ("GLIBC_TUNABLES=glibc.cpu.hwcaps=%s "):format(hidden) or "")
    .. (options.kernel and ("OPENBLAS_CORETYPE=%s "):format(options.kernel) or "") .. assignments
end

local function count(title, good, bad, output, seconds)
  passed, failed = passed + good, failed + bad
  print(("%-44s %4d passed %4d failed %6.1f s"):format(title, good, bad, seconds))
  if bad > 0 then print(output) end
end

--- How many tests of cmocka's output have a mark: RUN, OK, SKIPPED.
local function marked(output, mark)
  local _, number = ("\n" .. output):gsub("\n%[ *" .. mark .. " *%]", "")
  return number
end

--- What tests say of themselves goes to stdout, and errors and a summary, whose form changes with cmocka's version, to
-- stderr. A test that began and is neither done nor skipped has failed, or ended the program.
local function judge_c_test(task, output, errors, success, seconds)
  local good, skipped = marked(output, "OK"), marked(output, "SKIPPED")
  local bad = marked(output, "RUN") - good - skipped
  if bad == 0 and (not success or good + skipped == 0) then bad = 1 end
  count(task.title, good, bad, output .. "\n" .. errors, seconds)
  for name in output:gmatch "%[  SKIPPED %] ([%w_]+)" do print("  skipped: " .. name) end
  io.stdout:flush()
end

local function c_test(path)
  return { title = path, command = ("%s %s '%s'"):format(environment "", emulator, path), judge = judge_c_test }
end

local function judge_spec(task, output, errors, success, seconds)
  local good = tonumber(output:match "(%d+) success") or 0
  local bad = (tonumber(output:match "(%d+) failure") or 0) + (tonumber(output:match "(%d+) error") or 0)
  local skipped = tonumber(output:match "(%d+) pending") or 0
  if bad == 0 and (not success or good + skipped == 0) then bad = 1 end
  count(task.title, good, bad, output .. "\n" .. errors, seconds)
  if bad == 0 and skipped > 0 then
    for line in output:gmatch "[^\n]*Pending[^\n]*\n[^\n]*" do print("  skipped: " .. line:gsub("\n", " ")) end
  end
  io.stdout:flush()
end

local function spec(build, name)
  local assignments = ("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='%s/lib/?.so;;' SMRUN='%s/%s'")
    :format(build, build, emulator == "" and "smrun" or "emulated/smrun")
  local preload = os.getenv "PRELOAD"
  if preload then
    assignments = ('%s LD_PRELOAD="%s" ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"'):format(assignments, preload)
  end
  local busted = emulator == "" and "busted --lua=lua5.4"
    or ("%s '%s' /usr/bin/busted"):format(emulator, os.getenv "LUA")
  if helper then busted = ("%s --helper='%s'"):format(busted, helper) end
  return {
    title = name .. (build == builds[1] and "" or " (" .. build .. ")"),
    command = ("%s %s -o plainTerminal '%s'"):format(environment(assignments), busted, name),
    judge = judge_spec,
  }
end

local function stop(...)
  io.stderr:write(string.format(...), "\n")
  os.exit(1)
end

--- Says what runs, and stops where it is not what the options ask for.
local function check_machine(build)
  local output, success = run(("%s %s '%s/smrun' --version -v"):format(environment "", emulator, build))
  local set, kernel = output:match "instruction set%s+(%S+)", output:match "\n  kernel%s+(%S+)"
  if not success or not set or not kernel then stop("%s/smrun does not run:\n%s", build, output) end
  print(("== %s: %s, OpenBLAS's %s kernels"):format(build, set, kernel))
  if options.level and options.level ~= set then
    stop("asked for the level %s, but %s runs", options.level, set)
  elseif options.kernel and options.kernel:lower() ~= kernel:lower() then
    stop("asked for OpenBLAS's %s kernels, but %s run", options.kernel, kernel)
  end
end

--- Says where an experiment cannot be confined, so that specs which run one are known to fail by that. No spec that an
--- emulator runs starts one.
local function check_confinement(build)
  if emulator ~= "" then return print "confinement: not tested here, because an emulator has none" end
  local path = os.tmpname()
  local output = run(("%s '%s/smrun' --quiet '%s'"):format(environment "", build, path))
  os.remove(path)
  local reason = output:match "cannot confine an experiment: ([^\n]*);"
  if reason then print("confinement: specs that run an experiment will fail here, because " .. reason) end
end

local pattern <const> = os.getenv "SPECS" or ""
local specs <const> = files("tests/lua", "_spec%.lua$")

--- Stops where the pattern picks no spec at all: a slip must not look like success.
local function check_pattern()
  for _, name in ipairs(specs) do
    if name:find(pattern) then return end
  end
  stop("SPECS=\"%s\" picks none of tests/lua/*_spec.lua", pattern)
end

check_pattern()
local tasks = {}
for _, build in ipairs(builds) do
  check_machine(build)
  if not options.c then check_confinement(build) end
  local programs = (helper or options.later) and {} or files(build .. "/tests", "^test_[%w_]+$")
  for _, name in ipairs(programs) do tasks[#tasks + 1] = c_test(build .. "/tests/" .. name) end
  for _, name in ipairs(specs) do
    local subject = name:match "^(.*)_spec"
    local whole = not build:find "double$" and emulator == ""
    local wanted = OPERATIONS[subject] or whole and not (options.numbers and NO_NUMBERS[subject])
    if options.products then wanted = wanted and PRODUCTS[subject] end
    if options.memory then wanted = wanted and not PROGRAMS[subject] end
    if pattern == "" then wanted = wanted and (options.later ~= nil) == (LATER[subject] == true) end
    if wanted and not options.c and name:find(pattern) then
      tasks[#tasks + 1] = spec(build, "tests/lua/" .. name)
    end
  end
end
parallel.each(tasks)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
