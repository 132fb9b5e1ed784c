--- One run by several ranks: sums that are the tree's, what is refused, and ranks that die.
-- SMRUN is the program; beside it, in cluster/, lies what `make BUILD/cluster/mpi_sum` makes. ROUNDS says how often a
-- rank is killed.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local has, quote, read, write = helpers.has, helpers.quote, helpers.read, helpers.write

local rounds <const> = tonumber(os.getenv "ROUNDS" or 20)
local most_seconds <const> = 10 -- from the death of a rank to the end of all
local patience <const> = 120    -- seconds, for anything else on a machine that is busy
local mpirun <const> = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe "

local text <const> = [[
local sm = require "sm"
local nn = sm.nn
local p = sm.params { steps = 1000000, checkpoint = 7, fails = -1, seed = 1 }
local inputs, labels = sm.randn(64, 20), {}
for i = 1, 64 do labels[i] = i % 4 end
return sm.experiment {
  data = sm.data.tensors { inputs = inputs, targets = sm.tensor(labels, "int32") },
  model = nn.sequential { nn.linear { 300 }, nn.relu(), nn.linear { 4 } },
  loss = "cross_entropy",
  optimizer = sm.optim.adam { lr = 0.001 },
  schedule = { steps = p.steps, batch = 16, log = 1000, evaluate = 1000000, checkpoint = p.checkpoint, keep = 3 },
  seed = p.seed,
}
]]

-- Layers whose gradients and statistics are sums over the batch, each in its own way, and draws.
local network <const> = [[
local sm = require "sm"
local nn = sm.nn
return sm.experiment {
  data = sm.data.mnist_mini { validation = 1000 },
  model = nn.sequential {
    nn.conv2d { 16, kernel = 3 }, nn.batchnorm(), nn.relu(), nn.conv2d { 16, kernel = 3, padding = "same" },
    nn.softmax { groups = 4 }, nn.maxpool2d { 4 }, nn.flatten(), nn.dropout { 0.3 }, nn.linear { 20 }, nn.layernorm(),
    nn.gelu(), nn.linear { 10 },
  },
  optimizer = sm.optim.smorms3 { lr = 0.01 },
  schedule = { steps = 6, batch = 36, log = 1, evaluate = 3, checkpoint = 3 },
}
]]

local function built_with_mpi()
  return lfs.attributes((helpers.smrun:gsub("smrun$", "lib/sm/mpi.so"))) ~= nil
end

local why_not <const> = not built_with_mpi() and "smrun was built without MPI"
  or os.execute "command -v mpirun >/dev/null" == nil and "there is no mpirun" or nil

local function first_line(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

local function children(process)
  local list = {}
  for child in first_line(("/proc/%d/task/%d/children"):format(process, process)):gmatch "%d+" do
    list[#list + 1] = tonumber(child)
  end
  return list
end

local function is_alive(process)
  local state = first_line(("/proc/%d/stat"):format(process)):match "%) (%a)"
  return state ~= nil and state ~= "Z"
end

local function now()
  local seconds = first_line "/proc/uptime":match "%S+"
  return tonumber(seconds)
end

local function sleep(seconds) os.execute(("sleep %.3f"):format(seconds)) end

--- Waits until f() gives something. @return any that; nil after so many seconds
local function wait_for(f, seconds)
  local last = now() + seconds
  repeat
    local found = f()
    if found then return found end
    sleep(0.01)
  until now() > last
end

describe("one run by several ranks", function()
  local place

  before_each(function()
    place = os.tmpname()
    os.remove(place)
    lfs.mkdir(place)
    write(place .. "/tiny.lua", text)
  end)
  after_each(function() os.execute("rm -rf " .. quote(place)) end)

  local function try(name, f)
    it(name, function()
      if why_not then pending(why_not) end
      f()
    end)
  end

  --- Starts a command. @return integer of its shell
  local function begin(command)
    local line = ("cd %s && { sh -c %s >out 2>err </dev/null; echo $? >code; } & echo $!"):format(quote(place),
      quote(command))
    local pipe <close> = io.popen(line)
    return tonumber(pipe:read "l")
  end

  --- Ends the mpirun beneath a shell. One of version 4.1 may wait for a lock of its own for ever, when all that it has
  --- started is gone, if a rank died while it was greeting it.
  local function end_mpirun(shell)
    local function look(process)
      if first_line(("/proc/%d/comm"):format(process)):find "^mpirun" then os.execute("kill -9 " .. process) end
      for _, child in ipairs(children(process)) do look(child) end
    end
    look(shell)
    assert.is_truthy(wait_for(function() return lfs.attributes(place .. "/code") end, patience))
  end

  --- The process of mpirun beneath a shell, and by their ranks the supervisors that it has started.
  local function find(shell)
    local supervisors = {}
    local function look(process, depth)
      local rank = first_line(("/proc/%d/environ"):format(process)):match "%f[%w_]OMPI_COMM_WORLD_RANK=(%d+)"
      if rank and first_line(("/proc/%d/cmdline"):format(process)):find("--mpi", 1, true) then
        supervisors[tonumber(rank)] = process
        return
      end
      for _, child in ipairs(depth < 6 and children(process) or {}) do look(child, depth + 1) end
    end
    look(shell, 0)
    return supervisors
  end

  local function checkpoints()
    local steps = {}
    local directory = place .. "/runs/tiny/default/checkpoints"
    if lfs.attributes(directory) then
      for name in lfs.dir(directory) do
        local step = name:match "^step%-(%d+)%.safetensors$"
        if step then steps[#steps + 1] = tonumber(step) end
      end
    end
    table.sort(steps)
    return steps
  end

  try("adds as the tree of the ranks does", function()
    local program = quote((helpers.smrun:gsub("smrun$", "cluster/mpi_sum")))
    for _, ranks in ipairs { 1, 2, 4, 8 } do
      local status, out, err = helpers.shell(place, ("%s -n %d %s"):format(mpirun, ranks, program))
      assert.equal(0, status, out .. err)
      has(out, ("%d ranks: all sums are the tree's"):format(ranks))
    end
    local status, _, err = helpers.shell(place, mpirun .. "-n 4 " .. program .. " differ")
    assert.equal(1, status)
    has(err, "a sum of 9 numbers on rank 1")
    for way = 0, 2 do
      status, _, err = helpers.shell(place, ("%s-n 2 %s forge %d"):format(mpirun, program, way))
      assert.equal(1, status)
      has(err, "rank 1 of 2: the experiment's process asked for what there is not")
    end
  end)

  it("names the package where MPI was not built", function()
    local build = helpers.smrun:gsub("/smrun$", "")
    assert.equal(0, helpers.shell(place, ("mkdir -p bin share/smrun lib; cp %s/smrun bin; cp -r %s/lib lib/smrun; "
      .. "ln -s %s/lua share/smrun/lua; rm -f lib/smrun/sm/mpi.so"):format(build, build, lfs.currentdir())))
    local status, _, err = helpers.shell(place, "bin/smrun --mpi tiny.lua steps=1")
    assert.equal(1, status)
    has(err, "libopenmpi-dev")
    write(place .. "/lib/smrun/sm/mpi.so", "no library")
    status, _, err = helpers.shell(place, "bin/smrun --mpi tiny.lua steps=1")
    assert.equal(1, status)
    has(err, "openmpi-bin")
    assert.equal(0, helpers.shell(place, "bin/smrun tiny.lua steps=1"))
  end)

  try("saves once when it is asked to stop, and goes on with another number of ranks", function()
    local name <const> = "/tiny/steps=400/checkpoints/step-000400.safetensors"
    assert.equal(0, helpers.shell(place, "$SMRUN --quiet --runs apart tiny.lua steps=400"))
    local shell = begin(("%s -n 2 %s --mpi tiny.lua steps=400"):format(mpirun, quote(helpers.smrun)))
    local saved = place .. "/runs/tiny/steps=400/checkpoints"
    local all = wait_for(function()
      local found = find(shell)
      return lfs.attributes(saved .. "/step-000007.safetensors") and found[1] and found
    end, patience)
    assert.is_truthy(all, read(place .. "/err"))
    for _, process in pairs(all) do os.execute("kill -USR1 " .. process) end
    assert.is_truthy(wait_for(function() return lfs.attributes(place .. "/code") end, patience))
    assert.equal("130", read(place .. "/code"):match "%d+", read(place .. "/err"))
    local _, times = read(place .. "/runs/tiny/steps=400/log.txt"):gsub("interrupted after step %d+ of 400; saved", "")
    assert.equal(1, times)
    local status, out, err = helpers.shell(place, mpirun .. "-n 4 $SMRUN --mpi resume runs/tiny/steps=400")
    assert.equal(0, status, out .. err)
    assert.is_true(read(place .. "/runs" .. name) == read(place .. "/apart" .. name))
  end)

  --- metrics.csv without the times of steps.
  local function figures(path)
    local time
    return (read(path):gsub("[^\n]+", function(line)
      local column = 0
      return (line .. ","):gsub("([^,]*),", function(cell)
        column = column + 1
        if cell == "step_ms" then time = column end
        return column == time and "" or cell .. ","
      end)
    end))
  end

  try("has the bits of one process", function()
    write(place .. "/network.lua", network)
    assert.equal(0, helpers.shell(place, "$SMRUN --quiet --runs apart network.lua"))
    for _, ranks in ipairs { 1, 2, 4 } do
      local status, out, err = helpers.shell(place, ("%s -n %d $SMRUN --mpi --runs of%d network.lua"):format(mpirun,
        ranks, ranks))
      assert.equal(0, status, out .. err)
      for _, name in ipairs { "step-000003", "step-000006" } do
        name = "network/default/checkpoints/" .. name .. ".safetensors"
        assert.is_true(read(("%s/of%d/%s"):format(place, ranks, name)) == read(place .. "/apart/" .. name),
          ("%d ranks: %s"):format(ranks, name))
      end
      assert.equal(figures(place .. "/apart/network/default/metrics.csv"),
        figures(("%s/of%d/network/default/metrics.csv"):format(place, ranks)))
    end
  end)

  try("is one rank without mpirun", function()
    local status, out, err = helpers.shell(place, "$SMRUN --mpi tiny.lua steps=20")
    assert.equal(0, status, out .. err)
    assert.equal(0, helpers.shell(place, "$SMRUN --runs apart tiny.lua steps=20"))
    local name = "/tiny/steps=20/checkpoints/step-000020.safetensors"
    assert.is_true(read(place .. "/runs" .. name) == read(place .. "/apart" .. name))
  end)

  try("is refused where it is no one run", function()
    for words, part in pairs {
      ["--mpi tiny.lua seed=1,2"] = "--mpi trains one run on several ranks, and this is a sweep of 2 runs",
      ["--mpi --jobs 2 tiny.lua"] = "option '--jobs' does not go with --mpi",
      ["--mpi --dry-run tiny.lua"] = "option '--dry-run' does not go with --mpi",
      ["--mpi eval runs"] = "option '--mpi' does not go with 'eval'",
    } do
      local status, _, err = helpers.shell(place, "$SMRUN " .. words)
      assert.equal(2, status, words)
      has(err, part)
    end
    local status, _, err = helpers.shell(place, mpirun .. "-n 3 $SMRUN --mpi tiny.lua")
    assert.equal(2, status)
    has(err, "expected 1, 2, 4, 8 … ranks")
  end)

  try("says once what is wrong with the file", function()
    write(place .. "/wrong.lua", "error 'nothing works today'")
    local status, _, err = helpers.shell(place, mpirun .. "-n 2 $SMRUN --mpi wrong.lua")
    assert.equal(1, status)
    local _, times = err:gsub("nothing works today", "")
    assert.equal(1, times, err)
  end)

  try("ends where a rank is killed, and keeps what was saved", function()
    local random = 20261127
    local function draw(n)
      random = (random * 6364136223846793005 + 1442695040888963407) & math.maxinteger
      return (random >> 33) % n
    end
    for round = 1, rounds do
      local ranks = round % 5 == 0 and 4 or 2
      local trust = round % 4 == 0 and "--trust " or ""
      local shell = begin(("%s -n %d %s --mpi %stiny.lua"):format(mpirun, ranks, quote(helpers.smrun), trust))
      local all = wait_for(function()
        local found = find(shell)
        return found[ranks - 1] and #found == ranks - 1 and found[0] and found
      end, patience)
      assert.is_truthy(all, read(place .. "/err"))
      if round > 2 then -- these two die while they start
        local before = #checkpoints() > 0 and checkpoints()[#checkpoints()] or 0
        assert.is_truthy(wait_for(function()
          local steps = checkpoints()
          return #steps > 0 and steps[#steps] > before
        end, patience), read(place .. "/err"))
      end
      sleep(draw(500) / 1000)
      local rank = draw(ranks)
      local workers = children(all[rank])
      local victim = draw(2) == 0 and workers[1] or all[rank]
      local processes = {}
      for _, process in pairs(all) do
        processes[#processes + 1] = process
        table.move(children(process), 1, 9, #processes + 1, processes)
      end
      local saved = checkpoints()
      local what = ("round %d, %d ranks: process %d of rank %d, %s"):format(round, ranks, victim, rank,
        victim == all[rank] and "its first" or "its worker")
      local began = now()
      os.execute("kill -9 " .. victim)
      assert.is_truthy(wait_for(function()
        for _, process in ipairs(processes) do
          if is_alive(process) then return nil end
        end
        return true
      end, most_seconds), what .. ": a process is left\n" .. read(place .. "/err"))
      local ended = wait_for(function() return lfs.attributes(place .. "/code") end, began + most_seconds - now())
      local err = read(place .. "/err")
      if not ended and round <= 2 and err:find("PMIX ERROR", 1, true) then
        end_mpirun(shell)
      else
        assert.is_truthy(ended, ("%s: mpirun has not ended after %.1f s\n%s"):format(what, now() - began, err))
      end
      assert.not_equal("0", read(place .. "/code"):match "%d+", what)
      assert.is_truthy(err:find(("rank %d "):format(rank), 1, true), what .. "\n" .. err)
      local left = checkpoints()
      assert.is_true((left[#left] or 0) >= (saved[#saved] or 0), what)
      if #left > 0 then
        local status, out, problem = helpers.shell(place, "$SMRUN eval runs/tiny/default")
        assert.equal(0, status, what .. out .. problem)
        has(out, ("%d"):format(left[#left]))
      end
      os.remove(place .. "/code")
    end
  end)
end)
