-- 100,000 calls that raise, every kind of error by turns: what they leave behind does not grow.
local lfs = require "lfs"
local sm = require "sm"
local canvas = require "sm.canvas"
local json = require "sm.json"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local nn, optim, data, view = sm.nn, sm.optim, sm.data, sm.view

-- A sanitizer keeps what was freed for a while: there the process grows, and calls take longer.
local sanitized <const> = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) ~= nil
local CALLS <const> = sanitized and 20000 or 100000
local WARM <const> = 20 -- times that each kind is called before what there is, is looked at
local HEAP <const>, RESIDENT <const> = 64 << 10, 8 << 20 -- bytes by which either may differ

local workspace = os.tmpname()
os.remove(workspace)
assert(lfs.mkdir(workspace))

local function file(name, content)
  helpers.write(workspace .. "/" .. name, content)
  return workspace .. "/" .. name
end

local x, labels = sm.randn(4, 3), sm.tensor({ 0, 1, 2, 0 }, "int32")
local leaf = sm.ones(3):requires_grad()
local images = sm.ones(2, 6, 6, 1)
local picture = canvas.new(8, 8, "#ffffff")
local model = nn.sequential { nn.linear { 2 } }:build { 3 }
local set = data.tensors { inputs = x, targets = labels }

local damaged_idx = file("damaged-idx", "\0\0\8\2\0\0\0\9\0\0\0\9abc")
local damaged_npy = file("damaged.npy", "\x93NUMPY\1\0\20\0{'descr': '<f4', }  \n")
local cut_npy = file("cut.npy", "\x93NUMPY\1\0\46\0{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}")
local damaged_tensors = file("damaged.safetensors", string.pack("<I8", 40) .. '{"a": {"dtype": "F32"')
local no_tensors = file("none.safetensors", string.pack("<I8", 8) .. '{"a": 1}')
local damaged_gz = file("damaged.gz", "\31\139\8\0\0\0\0\0\0\3" .. ("\7"):rep(20))

local failing = sm.op {
  name = "failing",
  forward = function(_, a) return a * 2 end,
  backward = function() error("the user's own backward", 0) end,
}
local lying = sm.op { name = "lying", forward = function(_, a) return a * 2 end, backward = function() return 1 end }
local blind = sm.op { name = "blind", forward = function() return 1 end, backward = function() return 1 end }

local function experiment(changes)
  local given = { data = set, model = model, optimizer = optim.sgd { lr = 0.1 }, schedule = { steps = 1, batch = 2 } }
  for key, value in pairs(changes) do given[key] = value end
  return sm.experiment(given)
end

-- Methods that are called with an argument too many, of a wrong type, or of a shape that does not fit.
local wrong = {
  add = { "a" }, sub = { {} }, mul = { sm.ones(7) }, div = { "x" }, pow = { {} }, matmul = { sm.ones(9, 9) },
  linear = { x }, conv2d = { x }, conv2d_transpose = { x }, maxpool2d = { 2 },
  avgpool2d = { {} }, softmax = { { groups = 2 } }, cross_entropy = { sm.ones(4) }, accuracy = { sm.ones(4) },
  dropout = { 2 }, clamp = { "a", 1 }, sum = { 9 }, mean = { 0 }, max = { "x" }, argmax = { 5 }, reshape = { 7, 7 },
  transpose = { 1 }, slice = { 9, 20 }, select = { 0 }, to = { "float16" }, copy_ = { labels }, backward = {},
  requires_grad = { 1 }, item = {}, totable = { 1 }, clone = { 1 }, detach = { 1 }, tracks = { 1 }, exp = { 1 },
  log = { 1 }, sqrt = { 1 }, abs = { 1 }, tanh = { 1 }, sigmoid = { 1 }, relu = { 0.1 }, softplus = { 1 }, neg = { 1 },
}

local kinds = {
  function() sm.tensor { { 1, 2 }, { 3 } } end,
  function() sm.tensor { "a" } end,
  function() sm.tensor({ 300 }, "uint8") end,
  function() sm.tensor({ 1e39 }) end,
  function() sm.zeros(-1) end,
  function() sm.zeros(1 << 40, 1 << 40) end,
  function() sm.zeros { 1, 2, 3, 4, 5, 6, 7, 8, 9 } end,
  function() sm.ones({ 2 }, "float16") end,
  function() sm.full({ 2 }, "x") end,
  function() sm.arange(1, 2, 0) end,
  function() sm.randn("x") end,
  function() sm.rand({ 2 }, "uint8") end,
  function() sm.seed(1.5) end,
  function() return sm.nothing end,
  function() sm.no_grad(1) end,
  function() sm.no_grad(function() error("within no_grad", 0) end) end,
  function() sm.op { name = "x" } end,
  function() sm.op { forward = 1 } end,
  function() sm.gradcheck(lying, sm.ones(2)) end,
  function() return x + {} end,
  function() return x .. x end,
  function() return x[9] end,
  function() return x.nothing end,
  function() x[1] = 2 end,
  function() leaf.grad = sm.ones(4) end,
  function() failing(leaf):sum():backward() end,
  function() lying(leaf):sum():backward() end,
  function() blind(leaf) end,
  function() local y = leaf * leaf leaf:copy_(sm.ones(3)) y:sum():backward() end,
  function() local y = (leaf * 2):sum() y:backward() y:backward() end,
  function() (leaf * 2):backward() end,
  function() leaf:sum():backward(sm.ones(7)) end,
  function() (leaf * 2):copy_(sm.ones(3)) end,
  function() getmetatable(x).__index({}, "shape") end,

  function() nn.linear {} end,
  function() nn.linear { 2, colour = 1 } end,
  function() nn.conv2d { 2, kernel = "x" } end,
  function() return nn.nothing end,
  function() nn.sequential { 1 } end,
  function() nn.sequential { nn.relu(), nn.relu { name = "relu1" } } end,
  function() nn.linear { 2, name = "1" } end,
  function() model(labels) end,
  function() model(sm.ones(2, 9)) end,
  function() model:layer "linear7" end,
  function() model:build { 4 } end,
  function() nn.sequential { nn.conv2d { 2, kernel = 9, padding = "valid" } }:build { 3, 3, 1 } end,
  function() nn.sequential { nn.linear { 2 }, nn.fn(function() error "in a layer" end) }(x) end,
  function() nn.sequential { nn.linear { 2, init = function() return 1 end } }(x) end,
  function() nn.init.normal(-1) end,
  function() nn.softmax { groups = 0 } end,
  function() nn.dropout { 7 } end,

  function() optim.sgd {} end,
  function() optim.adam { lr = -1 } end,
  function() optim.adamw { lr = 1, beta1 = 2 } end,
  function() optim.smorms3 { lr = 1e99 } end,
  function() optim.rmsprop { lr = 1, moment = 2 } end,
  function() optim.sgd { lr = 1 }:step() end,
  function() optim.sgd { lr = 1 }:add(sm.ones(2)) end,
  function() optim.sgd { lr = 1 }:add { a = 1 } end,
  function() optim.sgd { lr = 1 }:telemetry() end,
  function() optim.adam { lr = 1 }:restore({ a = x }, 1) end,
  function()
    local opt, w = optim.sgd { lr = 0.1 }, sm.ones(2):requires_grad()
    opt:add(w)
    w.grad = sm.full({ 2 }, 1 / 0)
    opt:step()
  end,
  function()
    local opt, w = optim.sgd { lr = function() return "x" end }, sm.ones(2):requires_grad()
    opt:add(w)
    w.grad = sm.ones(2)
    opt:step()
  end,
  function() optim.warmup { steps = 0, after = 1 } end,
  function() optim.cosine { lr = 1 } end,
  function() optim.step { lr = 1, every = 0, factor = 1 } end,
  function() optim.constant "x" end,

  function() data.tensors { inputs = x } end,
  function() data.tensors { inputs = x, targets = sm.ones(3) } end,
  function() data.tensors { inputs = x, targets = sm.tensor({ 0, 1, 2, -1 }, "int32") } end,
  function() data.tensors { inputs = x, targets = labels, validation = 9 } end,
  function() data.idx { images = damaged_idx, labels = damaged_idx } end,
  function() data.idx { images = damaged_gz, labels = damaged_gz } end,
  function() data.idx { images = workspace .. "/nothing", labels = "" } end,
  function() set:batches(0) end,
  function() for _ in set:batches(2) do error("in a batch", 0) end end,
  function() return data.nothing end,

  function() sm.load(damaged_npy) end,
  function() sm.load(cut_npy) end,
  function() sm.load(damaged_tensors) end,
  function() sm.load(no_tensors) end,
  function() sm.load(workspace .. "/nothing.npy") end,
  function() sm.load(workspace .. "/x.txt") end,
  function() sm.save(workspace .. "/no/such.npy", x) end,
  function() sm.save(workspace .. "/x.npy", {}) end,
  function() sm.save(workspace .. "/x.safetensors", { a = 1 }) end,
  function() sm.save(workspace .. "/x.safetensors", { a = x }, { b = 1 }) end,
  function() sm.save(1, x) end,
  function() error((select(3, json.decode '{"a": [1, 2'))) end,

  function() canvas.new(0, 1, "#ffffff") end,
  function() canvas.new(1, 1, "white") end,
  function() canvas.measure("x", { size = -1 }) end,
  function() picture:rect(1, 1, 1, 1, { filling = 1 }) end,
  function() picture:line({ 1, 2, 3 }, { colour = "#000000" }) end,
  function() picture:line({ 1, 0 / 0 }, { colour = "#000000" }) end,
  function() picture:text(1, 1, "x\0", { size = 9, colour = "#000000" }) end,
  function() picture:image(1, 1, 1, 1, x, { map = { 1 } }) end,
  function() picture:image(1, 1, 1, 1, images, {}) end,
  function() picture:save(workspace .. "/no/such.png") end,

  function() view.filters {} end,
  function() view.groups "conv1":check(model, set) end,
  function() view.paint { pairs = 1 } end,
  function() experiment { model = 1 } end,
  function() experiment { schedule = {} } end,
  function() experiment { colour = 1 } end,
  function() experiment { loss = "mean" } end,
  function() experiment { views = { 1 } } end,
  function() experiment { metrics = { "speed" } } end,
  function() sm.params { a = {} } end,
  function() error { "no text" } end,
  function() error() end,
}
for name, arguments in pairs(wrong) do
  kinds[#kinds + 1] = function() return x[name](x, table.unpack(arguments)) end
  kinds[#kinds + 1] = function() return x[name]({}, 1) end
end

local function registry_size()
  local size = 0
  for _ in pairs(debug.getregistry()) do size = size + 1 end
  return size
end

local function open_descriptors()
  local count = 0
  for name in lfs.dir "/proc/self/fd" do count = count + (name:find "%d" and 1 or 0) end
  return count
end

local function resident()
  return tonumber(helpers.read "/proc/self/statm":match "^%d+ (%d+)") * 4096
end

local function standing()
  collectgarbage()
  collectgarbage()
  local live, cached = runtime.tensor.memory()
  return { live = live, cached = cached, registry = registry_size(), descriptors = open_descriptors(),
    heap = math.floor(1024 * collectgarbage "count"), resident = resident() }
end

describe("calls that raise", function()
  teardown(function() os.execute("rm -r '" .. workspace .. "'") end)

  it("raise, each of them, and say nothing of addresses", function()
    local silent = {}
    for i, kind in ipairs(kinds) do
      local ok, message = pcall(kind)
      if ok then silent[#silent + 1] = ("kind %d at line %d"):format(i, debug.getinfo(kind, "S").linedefined) end
      if type(message) == "string" then assert.is_nil(message:find "0x%x%x%x%x", message) end
    end
    assert.same({}, silent)
  end)

  it("leave nothing behind, 100,000 of them", function()
    local rounds = math.ceil(CALLS / #kinds)
    for _ = 1, WARM do
      for i = 1, #kinds do pcall(kinds[i]) end
    end
    local before, calls = standing(), 0
    for _ = 1, rounds do
      for i = 1, #kinds do
        pcall(kinds[i])
        calls = calls + 1
      end
    end
    local after = standing()
    assert.is_true(calls >= CALLS)
    for _, what in ipairs { "live", "registry", "descriptors" } do assert.equal(before[what], after[what], what) end
    assert.is_true(after.cached <= before.cached + RESIDENT, "memory that tensors keep grows")
    assert.is_true(after.heap <= before.heap + HEAP, ("Lua's heap grows by %d"):format(after.heap - before.heap))
    assert.is_true(sanitized or after.resident <= before.resident + RESIDENT,
      ("the process grows by %d"):format(after.resident - before.resident))
  end)
end)
