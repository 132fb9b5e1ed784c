--- What the library says to arguments that nobody should give: one plain error, at the caller's own line.
local check = require "sm.check"
local sm = require "sm"

--- The message of a call that must fail, without the caller's position; positions of the library are left in it.
local function message(f, ...)
  local ok, text = pcall(f, ...)
  assert.is_false(ok)
  assert.equal("string", type(text))
  return (text:gsub("^tests/lua/hostile_spec%.lua:%d+: ", ""))
end

local function raise() error "a metamethod ran" end

local hostile <const> = { __len = raise, __eq = raise, __newindex = raise }

describe("a table of options", function()
  it("is read without its metamethods", function()
    assert.equal(0.1, sm.optim.sgd(setmetatable({ lr = 0.1 }, hostile)).options.lr)
    assert.same({ 2, 4 }, sm.ones(2, 4):softmax { sizes = setmetatable({ 2, 2 }, hostile) }.shape)
    assert.equal(1, #sm.nn.sequential(setmetatable({ sm.nn.relu() }, hostile)).layers)
    local opt = sm.optim.sgd { lr = 0.1 }
    opt:add(setmetatable({ w = sm.ones(2):requires_grad() }, hostile), setmetatable({ lr = 0.2 }, hostile))
    assert.equal(1, #opt:parameters())
    assert.is_true(sm.gradcheck(function(x) return x * x end, setmetatable({ sm.ones(2) }, hostile)) < 2e-2)
  end)

  it("is refused where pairs has nothing to go through", function()
    for _, gives in ipairs { "x", 1, {}, function() end, function() return 1 end } do
      local function lying() return setmetatable({}, { __pairs = gives }) end
      for where, f in pairs { ["optim.sgd"] = sm.optim.sgd, ["nn.sequential"] = sm.nn.sequential,
        ["sm.params"] = sm.params, experiment = sm.experiment } do
        assert.equal(where .. ": this table's __pairs gives nothing to go through", message(f, lying()))
      end
      assert.equal("opt:add: this table's __pairs gives nothing to go through",
        message(function() sm.optim.sgd { lr = 1 }:add(sm.ones(1), lying()) end))
    end
  end)

  it("is refused with keys of any kind", function()
    for key, shown in pairs {
      [1.5] = "the key number 1.5", [true] = "the key boolean true", [print] = "the key function", [3] = "argument 3",
    } do
      assert.equal("nn.batchnorm: unexpected " .. shown .. ": number 1 (options: epsilon, momentum, name)",
        message(sm.nn.batchnorm, { [key] = 1 }))
    end
  end)
end)

--- What f gives; an error where that takes more than some million instructions.
local function bounded(f)
  debug.sethook(function() error "endless" end, "", 10000000)
  local results = table.pack(pcall(f))
  debug.sethook()
  assert(results[1], results[2])
  return table.unpack(results, 2, results.n)
end

describe("a list", function()
  it("is refused where a metamethod would prolong it", function()
    local function without_end(list, value)
      return setmetatable(list, { __index = function() return value end })
    end
    for _, f in ipairs {
      function() sm.nn.linear { 2 }:build(without_end({ 4 }, 1)) end,
      function() sm.ones(2, 4):softmax { sizes = without_end({ 2, 2 }, 2) } end,
      function() sm.view.paint { pairs = without_end({ { 0, 1 } }, { 2, 3 }) } end,
    } do
      assert.matches("expected a plain table", bounded(function() return message(f) end))
    end
  end)

  it("is a layer's own", function()
    local sizes = { 2, 2 }
    local layer = sm.nn.softmax { sizes = sizes }
    sizes[1] = 1000
    assert.same({ 2, 4 }, layer(sm.ones(2, 4)).shape)
  end)
end)

it("a key that is no word is named by its type, not by its address", function()
  local opt, named = sm.optim.sgd { lr = 0.1 }, sm.nn.linear { 2 }:build { 2 }:parameters()
  for _, key in ipairs { {}, print, io.stdout, coroutine.create(print), sm.ones(1) } do
    for _, f in ipairs {
      function() opt:add { [key] = 1 } end, function() opt:restore({ [key] = 1 }, 0) end,
      function() return sm[key] end, function() return sm.nn[key] end, function() named[key] = 1 end,
      function() sm.experiment { [key] = 1 } end,
    } do
      local text = message(f)
      assert.is_nil(text:match "0x", text)
      assert.truthy(text:find(check.describe(key), 1, true), text)
    end
  end
end)

describe("a message", function()
  it("loses the middle of what is very long", function()
    local long = ("a"):rep(1000000)
    for _, text in ipairs {
      message(sm.seed, long), message(sm.save, long, 1), message(sm.optim.sgd, { [long] = 1 }),
      message(function() return sm.ones(2):sum(long) end),
    } do
      assert.is_true(#text < 2000, #text)
      assert.matches("aaa … %(%d+ bytes%) … .*", text)
    end
  end)

  it("suggests nothing for a word that is no slip", function()
    local steps = 0
    debug.sethook(function() steps = steps + 1 end, "", 1000)
    local suggestion = check.suggest(("a"):rep(100000), { "steps", "batch" })
    debug.sethook()
    assert.equal("", suggestion)
    assert.is_true(steps < 10, steps)
  end)
end)

describe("a method", function()
  local set = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.zeros({ 4 }, "int32") }
  local model, opt = sm.nn.linear { 2 }, sm.optim.sgd { lr = 0.1 }

  it("called on something else says what it is called on", function()
    for _, other in ipairs { 1, "x", {}, print, sm.ones(1), io.stdout } do
      local given = check.describe(other)
      for _, case in ipairs {
        { model, { "build", "activations", "parameters", "buffers", "train", "eval", "layer" }, "", "a model" },
        { opt, { "add", "parameters", "zero_grad", "rate", "step", "watch", "telemetry", "state", "restore" }, "opt:",
          "an optimizer" },
        { set, { "stream", "batches" }, "", "a data set" }, { set:stream(2), { "next" }, "", "a stream of batches" },
      } do
        local object, names, prefix, what = table.unpack(case)
        for _, name in ipairs(names) do
          assert.equal(("%s%s is a method of %s, as in x:%s(…), got %s"):format(prefix, name, what, name, given),
            message(object[name], other))
        end
      end
      assert.equal("batches is a method of a split, as in set.validation:batches(…), got " .. given,
        message(set.train.batches, other))
    end
  end)

  it("of a picture names itself, however it is called", function()
    local picture = require "sm.canvas".new(4, 4, "#ffffff")
    assert.equal('text: argument 3 must be a number, got string "x"', message(picture.text, picture, 1, "x"))
  end)

  it("counts its arguments as before", function()
    assert.matches("^opt:step takes no arguments, got number 1$", message(function() opt:step(1) end))
    assert.matches("^build takes 2 arguments, got another argument, number 1$",
      message(function() model:build({ 2 }, nil, 1) end))
  end)

  it("of a model names what is no path by its type", function()
    for _, path in ipairs { {}, print, io.stdout } do
      assert.equal(("the model has no layer '%s' (layers: none)"):format(type(path)),
        message(function() model:layer(path) end))
    end
  end)

  it("of a stream takes a size", function()
    local stream = set:stream(2)
    for _, size in ipairs { "2", {}, 0, -1, 1.5, math.mininteger } do
      assert.equal("next: the batch size must be an integer of at least 1, got " .. check.describe(size),
        message(function() stream:next(size) end))
    end
  end)

  it("of a tensor converts nothing but tensors", function()
    assert.matches("^to: argument 1 must be a tensor, got ", message(sm.ones(1).to, print, "uint8"))
  end)
end)

it("a model's parameters cannot be taken out of their map in silence", function()
  local model = sm.nn.linear { 2 }:build { 3 }
  local parameters, words = model:parameters(), "this map is read-only, but 'bias' was taken out of it"
  parameters.bias = nil
  for _, f in ipairs {
    function() for _ in pairs(parameters) do end end, -- luacheck: ignore
    function() sm.optim.sgd { lr = 1 }:add(parameters) end, function() tostring(model) end,
    function() sm.save(os.tmpname() .. ".safetensors", parameters) end,
  } do
    assert.equal(words, (message(f):gsub("^save: [^:]*: ", "")))
  end
end)

describe("no_grad", function()
  local function records()
    return (sm.ones(1):requires_grad() * 2):tracks()
  end

  it("ends where it begins just above the end of the C stack", function()
    local function nest(depth)
      if depth > 0 then return (("x"):gsub("x", function() nest(depth - 1) end)) end
      pcall(sm.no_grad, function() end)
    end
    for depth = 100, 199 do
      pcall(nest, depth)
      assert.is_true(records(), depth)
    end
  end)

  it("ends with a coroutine that an error ends", function()
    local co = coroutine.create(function() sm.no_grad(error, "stop") end)
    local ok, text = coroutine.resume(co)
    assert.same({ false, "stop", true }, { ok, text, records() })
  end)

  it("calls nothing that only seems to be callable", function()
    for _, called in ipairs { "x", {}, 1 } do
      local value = setmetatable({}, { __call = called })
      assert.equal("no_grad: expected a function, got table", message(sm.no_grad, value))
    end
  end)
end)

it("a tensor of many axes is printed in short", function()
  for _, shape in ipairs { { 8, 8, 8, 8, 8, 8, 8, 8 }, { 8, 8, 8, 8, 8, 8, 8, 0 }, { 1 << 40, 8, 8, 8, 8, 0 } } do
    local text = bounded(function() return tostring(sm.zeros(shape, "uint8")) end)
    assert.is_true(#text < 200000, #text)
    assert.matches("…", text)
  end
  local _, numbers = tostring(sm.ones { 8, 8, 8, 8 }):gsub("%f[%w]1%f[%W]", "")
  assert.equal(8 ^ 4, numbers)
end)

describe("a data set", function()
  local set = sm.data.tensors { inputs = sm.ones(16, 2), targets = sm.zeros({ 16 }, "int32") }

  it("gives no batch of more epochs than can be shuffled at once", function()
    for _, size in ipairs { 160001, 1 << 31, 1 << 62, math.maxinteger } do
      assert.equal(("a batch of %d examples would take each of 16 more than 10000 times"):format(size),
        bounded(function() return message(function() set:stream(size):next() end) end))
      assert.matches("^a batch of", message(function() set:batches(size, { epochs = math.huge })() end))
    end
    assert.equal(16, #(set:batches(1 << 62)()))
    assert.equal(160000, #(set:stream(160000):next()))
  end)

  it("goes through any number of epochs", function()
    for _, epochs in ipairs { 1 << 60, 1 << 62, math.maxinteger, 1e300 } do
      assert.equal(5, #(set:batches(5, { epochs = epochs })()))
    end
  end)
end)

it("a schedule takes a step", function()
  for _, schedule in ipairs {
    sm.optim.constant(0.1), sm.optim.step { lr = 1, every = 2, factor = 0.5 }, sm.optim.cosine { lr = 1, steps = 2 },
    sm.optim.warmup { steps = 2, after = 1 },
  } do
    for _, step in ipairs { "1", {}, print } do
      assert.equal("a schedule takes the step, a number, got " .. check.describe(step), message(schedule, step))
    end
    assert.matches("^a schedule takes the step, a number, got nil$", message(schedule))
  end
end)

it("an initialiser takes the numbers of values that it divides by", function()
  local init = sm.nn.init
  for _, make in ipairs { init.he_normal, init.he_uniform, init.glorot_normal, init.glorot_uniform } do
    for _, fan in ipairs { "2", {}, 0, -1, 0 / 0 } do
      assert.equal("an initialiser takes a shape, fan_in and fan_out: argument 2 must be a number above 0, got "
        .. check.describe(fan), message(make(), { 2 }, fan, 2))
    end
  end
  assert.matches("argument 3 must be a number above 0, got nil$", message(init.glorot_normal(), { 2 }, 2))
end)

it("arange takes an element type after any of its numbers", function()
  assert.same({ 0, 1, 2 }, sm.arange(3, "int32"):totable())
  assert.same({ 1, 2 }, sm.arange(1, 3, "int32"):totable())
  assert.same({ 1, 3 }, sm.arange(1, 5, 2, "int32"):totable())
end)

it("gradcheck puts its inputs back when the function raises on the way", function()
  local calls, x = 0, sm.tensor { 1, 2 }
  local function failing(y)
    calls = calls + 1
    if calls > 3 then error "stop" end
    return y * y
  end
  assert.is_false((pcall(sm.gradcheck, failing, x)))
  assert.same({ 1, 2 }, x:totable())
end)

it("a list of axes is read without its metamethods", function()
  local function list(...) return setmetatable({ ... }, { __len = function() return {} end }) end
  assert.same({ 2 }, sm.ones(1, 2):squeeze(list(1)).shape)
  assert.same({ 2, 4 }, sm.ones(1, 2):tile(list(2, 2)).shape)
  assert.same({ 2, 1 }, sm.stack(list(sm.ones(1), sm.ones(1))).shape)
end)

it("a value with a zero byte is no path", function()
  local settings = require "sm.cli.settings"
  local word = settings.word("a", "/\0b,c")
  assert.same({ { a = "/\0b,c" } }, (settings.read({ word }, 1)))
end)
