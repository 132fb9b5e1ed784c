--- The same sweep of 12 by smrun alone, through GNU parallel and through Slurm: the same bits, also where Slurm has
--- ended an element and runs it again. tests/cluster/run.sh starts the Slurm, or says in NO_SLURM why there is none.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local has, read, write = helpers.has, helpers.read, helpers.write

local no_slurm <const> = os.getenv "NO_SLURM"
local sweep <const> = "tiny.lua seed=1..6 lr=0.01,0.02"
local steps <const> = 12
local patience <const> = 300 -- seconds, for what Slurm does in a few on a machine that does nothing else

--- The run with the third seed and the first rate waits at a step, where `stop` says so.
local text <const> = tiny.text:gsub('local asked = ', "%0p.seed == 3 and p.lr == 0.01 and ")

describe("a sweep of 12", function()
  local places, alone = {}, nil

  --- A directory with the experiment.
  local function workspace()
    local place = tiny.workspace()
    places[#places + 1] = place
    write(place .. "/tiny.lua", text)
    return place
  end

  local function shell(place, command)
    local status, out, err = helpers.shell(place, command)
    assert.equal(0, status, out .. err)
    return out
  end

  setup(function()
    alone = workspace()
    shell(alone, "$SMRUN --quiet --jobs 2 " .. sweep)
  end)
  teardown(function()
    for _, place in ipairs(places) do tiny.remove(place) end
  end)

  --- All numbers of the model and of the optimizer, and all figures.
  local function bits(directory)
    local checkpoint = read(("%s/checkpoints/step-%06d.safetensors"):format(directory, steps))
    return checkpoint:sub(9 + ("<I8"):unpack(checkpoint)) .. tiny.metrics(directory)
  end

  local function assert_same(place)
    local names = tiny.list(alone .. "/runs/tiny")
    assert.equal(12, #names)
    assert.same(names, tiny.list(place .. "/runs/tiny"))
    for _, name in ipairs(names) do
      assert.is_true(bits(alone .. "/runs/tiny/" .. name) == bits(place .. "/runs/tiny/" .. name), name)
    end
  end

  --- The tables of a comparison, without what depends on time.
  local function compared(words)
    return words:match "Mean ± .-\n\n":gsub("[%d.]+ m?s\n", "")
  end

  it("is the same through GNU parallel", function()
    if not os.execute "command -v parallel >/dev/null" then return pending "GNU parallel is not installed" end
    local place = workspace()
    local out = shell(place, ("$SMRUN %s --plan | parallel --will-cite -j2"):format(sweep))
    assert.equal(12, select(2, out:gsub("test accuracy", "")))
    assert_same(place)
    local again = shell(place, ("$SMRUN %s --plan | parallel --will-cite -j2"):format(sweep))
    assert.equal(12, select(2, again:gsub("\ndone before: ", "")))
  end)

  --- Waits until a command succeeds; fails with what `about` gives after all patience.
  local function await(place, command, about)
    local began <const> = os.time()
    while helpers.shell(place, command) ~= 0 do
      if os.time() - began > patience then error(command .. "\n" .. select(2, helpers.shell(place, about))) end
      os.execute "sleep 0.3"
    end
  end
  local said <const> = "squeue; tail -n 20 runs/.plan-*/slurm-*/*.log"

  --- Has the run that waits ended by a command, once it waits; it may go on to its next step then.
  local function ended_by(command)
    return ([[
      exec 3>here # which waits for the run
      %s || exit
      rm stop
      sleep 1
      exec 3>&-
    ]]):format(command)
  end

  it("is the same through Slurm, where one element is requeued in the middle", function()
    if no_slurm then return pending(no_slurm) end
    local place = workspace()
    write(place .. "/stop", "loss 8")
    shell(place, "mkfifo here")
    local job = shell(place, ("$SMRUN %s --slurm '--time=5 --cpus-per-task=1'"):format(sweep)):match "job array (%d+)"
    shell(place, ended_by(("scontrol requeue %s_5"):format(job)))
    await(place, "cat runs/.plan-*/slurm-1/compare.log | grep 'runs finished'", said)
    local log = read(place .. "/runs/tiny/seed=3/log.txt")
    assert.matches("interrupted after step %d", log)
    assert.matches("goes on after step %d", log)
    has(log, " with smorms3, seed 3, 1 thread\n")
    assert_same(place)
    local words = shell(place, "cat runs/.plan-*/slurm-1/compare.log")
    has(words, "\ntiny.lua: 12 of 12 runs finished\n")
    assert.equal(compared(shell(alone, "$SMRUN compare runs/tiny")), compared(words))
  end)

  it("names what is missing, and the same command submits it", function()
    if no_slurm then return pending(no_slurm) end
    local place = workspace()
    write(place .. "/stop", "loss 8")
    shell(place, "mkfifo here")
    local few <const> = "tiny.lua seed=2..4"
    local job = shell(place, ("$SMRUN %s --slurm --time=5"):format(few)):match "job array (%d+)"
    shell(place, ended_by(("scancel --batch --signal=TERM %s_2"):format(job)))
    await(place, "grep 'runs finished' runs/.plan-*/slurm-1/compare.log", said)
    local words = shell(place, "cat runs/.plan-*/slurm-1/compare.log")
    assert.matches("\nMissing:\n  seed=3   resume after step %d   runs/tiny/seed=3\n", words)
    has(words, "\ntiny.lua: 2 of 3 runs finished\n")
    has(shell(place, "cat runs/.plan-*/slurm-1/2.log"), "saved. To go on:")
    has(shell(place, ("$SMRUN %s --slurm --time=5"):format(few)), "tiny.lua: 3 runs, 1 to do: job array ")
    await(place, "grep 'runs finished' runs/.plan-*/slurm-2/compare.log", said)
    has(shell(place, "cat runs/.plan-*/slurm-2/compare.log"), "\ntiny.lua: 3 of 3 runs finished\n")
    assert.same({ "seed=2", "seed=3", "seed=4" }, tiny.list(place .. "/runs/tiny"))
    assert.is_true(bits(alone .. "/runs/tiny/seed=3") == bits(place .. "/runs/tiny/seed=3"))
  end)

  it("leaves nothing where Slurm refuses it", function()
    if no_slurm then return pending(no_slurm) end
    local place = workspace()
    local status, _, err = helpers.shell(place, ("$SMRUN %s --slurm --partition=nowhere"):format(sweep))
    assert.equal(1, status)
    has(err, "invalid partition specified: nowhere")
    has(err, "smrun: sbatch has not taken the job array; nothing was submitted")
    for _, name in ipairs(lfs.attributes(place .. "/runs") and tiny.list(place .. "/runs") or {}) do error(name) end
  end)
end)
