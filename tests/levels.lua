--- Runs the C tests and the numerical specs on every instruction-set level that this processor has, with each set of
-- OpenBLAS's kernels that it has: with the first of them all, with the others those of products. Those in double run
-- once on each level. Where TESTED says that `make test` has just run on the level and with the kernels that are taken
-- here by themselves, each other level has one set of kernels, another on each, and double runs on the lowest. Exits
-- with 1 if anything failed.
-- Usage: lua5.4 tests/levels.lua NOT_RUN BUILD DOUBLE_BUILD
-- NOT_RUN is the file to which those that cannot run are added, one a line.
local lfs = require "lfs"

local not_run <close> = assert(io.open(arg[1], "a"))
local build, double = arg[2], arg[3]
local AVX2 <const> = { "avx2", "fma" }
local AVX512 <const> = { "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl" }
local LEVELS <const> = {
  { name = "base" }, { name = "x86-64-v3", needs = AVX2 }, { name = "x86-64-v4", needs = AVX512 },
}
local KERNELS <const> = {
  { name = "Haswell", needs = AVX2 }, { name = "Zen", needs = AVX2 }, { name = "SkylakeX", needs = AVX512 },
}

local cpuinfo <close> = assert(io.open "/proc/cpuinfo")
local flags = " " .. (cpuinfo:read "a":match "flags[^:]*:([^\n]*)" or "") .. " "

--- Those that the processor can run; notes the others.
local function here(of, kind)
  local found = {}
  for _, one in ipairs(of) do
    local lacking = {}
    for _, flag in ipairs(one.needs or {}) do
      if not flags:find(" " .. flag .. " ", 1, true) then lacking[#lacking + 1] = flag end
    end
    if #lacking == 0 then
      found[#found + 1] = one.name
    else
      not_run:write(kind:format(one.name), ": this processor has no ", table.concat(lacking, ", "), "\n")
    end
  end
  return found
end

local failed = {}

local function run(options, builds)
  print("\n-- " .. options)
  io.stdout:flush()
  if not os.execute(("lua5.4 tests/run.lua %s %s"):format(options, builds)) then
    failed[#failed + 1] = options
  end
end

local kernels = here(KERNELS, "OpenBLAS's %s kernels")
local levels = here(LEVELS, "the level %s")
local tested = os.getenv "TESTED" and #kernels > 0
if tested then levels[#levels] = nil end
for position, level in ipairs(levels) do
  if level ~= "base" and not lfs.attributes(("%s/lib/glibc-hwcaps/%s"):format(build, level)) then
    not_run:write(("the level %s: the compiler does not build it\n"):format(level))
  else
    -- The kernels that the library takes by itself are one of the sets.
    local builds = #kernels > 0 and double or build .. " " .. double
    if not tested or position == 1 then run("--numbers --level=" .. level, builds) end
    for i, kernel in ipairs(tested and { kernels[(position - 1) % #kernels + 1] } or kernels) do
      run(("%s --level=%s --kernel=%s"):format(i == 1 and "--numbers" or "--products", level, kernel), build)
    end
  end
end
if #failed > 0 then print("failed: " .. table.concat(failed, "; ")) end
os.exit(#failed == 0, true)
