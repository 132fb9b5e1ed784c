--- A run of several ranks, which are coroutines of one process (tests/lua/among.lua), leaves what a run of one process
--- leaves, bit for bit; what ranks cannot make together is refused.
local lfs = require "lfs"
local sm = require "sm"
local among = dofile "tests/lua/among.lua"
local helpers = dofile "tests/lua/helpers.lua"
local experiment = require "sm.experiment"
local program = require "sm.cli.host"

local nn, optim = sm.nn, sm.optim
local has = helpers.has

local workspace

local silent <const> = setmetatable({ finished = function() end }, { __index = program })

--- The program around a run, of a rank.
local function host_of(collective)
  local host = { collective = collective }
  function host.place(wanted)
    local path = collective.rank == 0 and select(1, program.place(wanted)) or nil
    path = collective.broadcast(path)
    return path, lfs.attributes(path .. "/summary.json") and "finished" or "new"
  end
  return setmetatable(host, { __index = silent })
end

--- @param changes table|nil what is declared otherwise, and `more` of the schedule; `make()` gives what each rank has
---   of its own
local function declaration(changes)
  sm.seed(11)
  local given = {
    data = sm.data.tensors {
      inputs = sm.randn(90, 6), targets = sm.randint(0, 3, 90), validation = 10, test_inputs = sm.randn(12, 6),
      test_targets = sm.randint(0, 3, 12), transform = function(x, y) return x + 0.1 * sm.randn(x.shape), y end,
    },
    model = nn.sequential { nn.linear { 12 }, nn.batchnorm(), nn.relu(), nn.dropout { 0.4 }, nn.linear { 3 } },
    optimizer = optim.adam { lr = 0.01 },
    schedule = { steps = 9, batch = 16, log = 2, evaluate = 4, checkpoint = 3, keep = 3 },
    best = "validation_loss",
  }
  for key, value in pairs(changes or {}) do given[key] = value end
  for key, value in pairs(given.make and given.make() or {}) do given[key] = value end
  given.make = nil
  for key, value in pairs(changes and changes.more or {}) do given.schedule[key] = value end
  given.more = nil
  if given.train then given.best = nil end
  return given
end

--- Runs it by so many ranks; 0 is one process that is no rank.
--- @return string the run's directory
local function run(name, count, changes)
  local runs = ("%s/%s-%d"):format(workspace, name, count)
  local function take_part(host)
    local given = declaration(changes)
    given.name = name
    return experiment.declare(given, host):run {
      file = workspace .. "/ranks.lua", source = "return 1", quiet = true, runs = runs,
      interrupted = changes and changes.stop and changes.stop(host) or nil,
    }
  end
  if count == 0 then return take_part(silent).directory end
  return among.run(count, function(collective) return take_part(host_of(collective)) end)[1].directory
end

--- metrics.csv without times.
local function metrics(path)
  local lines, times = {}, nil
  for line in helpers.read(path .. "/metrics.csv"):gmatch "[^\n]+" do
    local cells = {}
    for cell in (line .. ","):gmatch "([^,]*)," do cells[#cells + 1] = cell end
    for column, name in ipairs(times and {} or cells) do times = name == "step_ms" and column or times end
    cells[times] = ""
    lines[#lines + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n")
end

--- @param last string|nil of the checkpoints that are compared; by default all
local function same_runs(expected, found, last)
  for name in lfs.dir(expected .. "/checkpoints") do
    if name:find((last or "") .. "%.safetensors$") then
      assert.equal(helpers.read(expected .. "/checkpoints/" .. name), helpers.read(found .. "/checkpoints/" .. name),
        name)
    end
  end
  assert.equal(metrics(expected), metrics(found))
end

describe("a run of several ranks", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    helpers.write(workspace .. "/ranks.lua", "return 1")
  end)
  teardown(function() os.execute(("rm -r '%s'"):format(workspace)) end)

  it("leaves the checkpoints and the curves of one process", function()
    local whole = run("plain", 0)
    for _, count in ipairs { 1, 2, 4 } do same_runs(whole, run("plain", count)) end
  end)

  it("makes a step of several batches, and evaluates an average", function()
    local changes = { more = { accumulate = 2, ema = 0.9 } }
    local whole = run("several", 0, changes)
    for _, count in ipairs { 2, 4 } do same_runs(whole, run("several", count, changes)) end
  end)

  it("changes of each batch only its own images, with what one process draws for them", function()
    local function images(transform)
      return { more = { parts = 16 }, make = function()
        return {
          data = sm.data.tensors { inputs = sm.rand(45, 9, 9, 2), targets = sm.randint(0, 3, 45), validation = 10,
            transform = transform },
          model = nn.sequential { nn.conv2d { 3, kernel = 3 }, nn.relu(), nn.flatten(), nn.linear { 3 } },
        }
      end }
    end
    local changes = { shift = 1, flip = true, rotation = 20, elastic = { alpha = 8, sigma = 2 }, cutout = 3 }
    local mixed = { mixup = 0.4 }
    for name, transform in pairs { changed = changes, mixed = { changes, mixed }, whole = false } do
      local given = images(transform or nil)
      local one = run(name, 0, given)
      for _, count in ipairs { 2, 4, 16 } do same_runs(one, run(name, count, given)) end -- 16: a row each
    end
  end)

  it("has as many ranks as parts", function()
    local changes = { more = { parts = 8 } }
    local whole = run("parts", 0, changes)
    same_runs(whole, run("parts", 8, changes))
  end)

  it("says in environment.json how many there were", function()
    has(helpers.read(run("told", 2) .. "/environment.json"), '"ranks": 2')
  end)

  it("goes on with another number of ranks", function()
    local function stopping_after(calls)
      return { stop = function()
        local count = 0
        return function()
          count = count + 1
          return count == calls
        end
      end }
    end
    local whole, name = run("plain", 0), "resumed"
    local runs = workspace .. "/" .. name
    local path
    for _, part in ipairs { { 4, 4 }, { 2, 2 }, { 1, math.huge } } do
      local count, calls = table.unpack(part)
      among.run(count, function(collective)
        local given = declaration()
        given.name = "plain"
        local found = experiment.declare(given, host_of(collective)):run {
          file = workspace .. "/ranks.lua", source = "return 1", quiet = true, runs = runs,
          interrupted = stopping_after(calls).stop(),
        }
        path = found.directory
        assert.equal(calls < math.huge, found.interrupted == true)
      end)
    end
    same_runs(whole, path, "9")
  end)

  local function refused(words, count, changes)
    local ok, problem = pcall(run, "refused", count, changes)
    assert.is_false(ok)
    has(tostring(problem), words)
    os.execute(("rm -rf '%s'/refused-*"):format(workspace))
  end

  it("is refused where its steps cannot be divided", function()
    refused("`train` makes steps of its own", 2, { train = function() end })
    refused("schedule.batch is 16, and there are 32", 32, { more = { parts = 32 } })
    refused("a batch has 4 parts (schedule.parts), and there are 8 ranks; schedule = { parts = 8 }", 8)
    refused("the number of ranks must be a power of two", 3)
  end)

  it("is refused where examples depend on each other", function()
    local function model(f) return nn.sequential { nn.linear { 5 }, nn.fn(f), nn.linear { 3 } } end
    local words <const> = "what the model gives for an example must depend on no other example"
    refused(words, 2, { model = model(function(x) return x - x:mean(1) end) })
    refused(words, 2, { model = model(function(x) return x:flip(1) end) })
    refused(words, 4, { model = model(function(x) return x * #x end) })
    refused(words, 4, { model = model(function(x) return x + sm.randn(2 * #x, 5):slice(1, #x) end) })
    refused("the model must give as many rows as there are examples", 2, {
      model = nn.sequential { nn.linear { 3 }, nn.fn(function(x) return x:sum(1) end) },
      loss = function(output) return output:sum() end,
    })
  end)

  it("is refused where the loss is no mean over examples", function()
    local words <const> = "the loss must be a mean over the examples of a batch"
    refused(words, 2, { loss = function(output) return output:square():sum() end })
    refused(words, 4, { loss = function(output) return output:square():sum(2):max() end })
    refused(words, 2, { loss = function(output) return output:mean(1):square():sum() end })
    local plain = nn.sequential { nn.linear { 5 }, nn.tanh(), nn.linear { 3 } }
    refused("a gradient within a step of 2 ranks", 2, { model = plain, loss = function(output, target, _, at)
      local loss = output:cross_entropy(target)
      if not loss:tracks() then return loss end -- of the first batch, as one process has it
      local g = sm.grad(loss, { at.model:parameters()["linear1.weight"] }, { create_graph = true })
      return loss + g[1]:square():sum()
    end })
  end)

  it("ends where ranks have other data, or come to other weights", function()
    local rank = 0
    refused("its declaration must be the same on all ranks; rank 1 of 2", 2, { more = setmetatable({}, {
      __pairs = function()
        rank = rank + 1
        return next, { steps = 8 + rank }
      end,
    }) })
    local calls = 0
    refused("step 3: the weights of rank 1 of 2 are not those of rank 0; nothing was saved", 2, {
      loss = function(output, target, _, at)
        calls = calls + 1
        if calls == 6 then
          local weight = at.model:parameters()["linear1.weight"]
          sm.no_grad(function() weight:copy_(weight:detach() + 1) end)
        end
        return output:cross_entropy(target)
      end,
    })
  end)
end)
