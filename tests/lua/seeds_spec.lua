--- Every draw of an experiment follows its seed: those of its file, of its modules, and Lua's math.random.
local lfs = require "lfs"
local tiny = dofile "tests/lua/tiny_experiment.lua"

-- What the file draws is its data, so that the data's checksum, and the first loss, tell what was drawn.
local experiment <const> = [[
local sm = require "sm"
%s
local inputs, labels = sm.randn(30, 4), {}
for i = 1, 30 do labels[i] = math.random(0, 2) end
print(("drew %%.9g %%s %%.17g"):format(inputs[1][1]:item(), table.concat(labels), math.random()))
%s
return sm.experiment {
  data = sm.data.tensors { inputs = inputs, targets = sm.tensor(labels, "int32"), validation = 10 },
  model = sm.nn.sequential { sm.nn.linear { 3 } },
  loss = function(output, targets) return output:cross_entropy(targets) * (1 + math.random()) end,
  optimizer = sm.optim.sgd { lr = 0.1 },
  schedule = { steps = 6, batch = 7, evaluate = 3, checkpoint = 2, log = 1 },
  seed = %s,
}
]]

describe("what the file of an experiment draws", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function write(name, before, after, seed)
    tiny.write(workspace .. "/" .. name, experiment:format(before, after, seed))
  end

  local function smrun(arguments)
    local program = os.getenv "SMRUN" or "build/smrun"
    if program:sub(1, 1) ~= "/" then program = lfs.currentdir() .. "/" .. program end
    local pipe = io.popen(("cd '%s' && '%s' %s 2>&1"):format(workspace, program, arguments))
    local output = pipe:read "a"
    local _, _, code = pipe:close()
    return output, code
  end

  --- The last line of what was drawn, after a run that went well.
  local function drawn(arguments)
    local output, code = smrun(arguments)
    assert.equal(0, code, output)
    local last
    for line in output:gmatch "drew [^\n]*" do last = line end
    return assert(last, output)
  end

  local with_params <const> = "local p = sm.params { seed = 1 }"

  it("follows the seed, wherever that is declared", function()
    write("before.lua", with_params, "", "p.seed")
    write("after.lua", "", with_params, "p.seed")
    write("literal.lua", "", "", "2")
    write("expression.lua", with_params, "", "p.seed * 2 + 1 - 1 - p.seed + p.seed // p.seed")
    local first, second = drawn "before.lua", drawn "before.lua seed=2"
    assert.not_equal(first, second)
    assert.equal(first, drawn "before.lua --again")
    assert.equal(first, drawn "after.lua")
    assert.equal(second, drawn "after.lua seed=2")
    assert.equal(second, drawn "literal.lua")
    assert.equal(second, drawn "expression.lua")
  end)

  it("is loaded once where its seed is known before it draws", function()
    write("before.lua", "local p = sm.params { seed = 7 }", "", "p.seed")
    local output = smrun "before.lua"
    assert.equal(1, select(2, output:gsub("drew", "")))
    output = smrun "before.lua seed=3"
    assert.equal(1, select(2, output:gsub("drew", "")))
  end)

  it("does not move with a local before the return, nor with a name for it", function()
    write("returned.lua", with_params, "", "p.seed")
    local text = tiny.read(workspace .. "/returned.lua")
    tiny.write(workspace .. "/named.lua", text:gsub("return sm.experiment", "local e = sm.experiment") .. "return e\n")
    assert.equal(drawn "returned.lua seed=5", drawn "named.lua seed=5")
  end)

  it("is the file's own where it calls sm.seed or math.randomseed", function()
    write("own.lua", with_params .. " sm.seed(5) math.randomseed(9)", "", "p.seed")
    assert.equal(drawn "own.lua", drawn "own.lua seed=2")
    tiny.write(workspace .. "/plain.lua", [[
      local sm = require "sm"
      sm.seed(5)
      print(("drew %.9g"):format(sm.randn(30, 4)[1][1]:item()))]])
    local plain = drawn "plain.lua"
    assert.equal(plain, drawn "own.lua --again":sub(1, #plain)) -- the numbers that sm.seed(5) has always given
  end)

  it("follows the seed in modules, and of another seed when it is drawn lazily", function()
    tiny.write(workspace .. "/drawing.lua", "return { math.random(), (require 'sm'.rand(1)[1]:item()) }")
    write("modular.lua", with_params, [[print("drew", table.unpack((require "drawing")))]], "p.seed")
    assert.equal(drawn "modular.lua", drawn "modular.lua --again")
    assert.not_equal(drawn "modular.lua --again", drawn "modular.lua seed=2")
    write("literal.lua", "", [[print("drew", table.unpack((require "drawing")))]], "2")
    assert.equal(drawn "modular.lua seed=2 --again", drawn "literal.lua")
  end)

  it("is told in the record of the run", function()
    local json = require "sm.json"
    write("drawing.lua", with_params, "", "p.seed")
    smrun "drawing.lua"
    assert.is_true(json.decode(tiny.read(workspace .. "/runs/drawing/default/environment.json")).drew)
    smrun "tiny.lua" -- calls sm.seed before it draws
    assert.is_false(json.decode(tiny.read(workspace .. "/runs/tiny/default/environment.json")).drew)
  end)

  it("is no part of what training draws", function()
    tiny.write(workspace .. "/none.lua", (experiment:format(with_params, "", "p.seed"):gsub("sm.randn%(30, 4%)",
      "sm.ones(30, 4)"):gsub("math.random%(0, 2%)", "i %% 3"):gsub("print%b()", "")))
    tiny.write(workspace .. "/some.lua", (tiny.read(workspace .. "/none.lua"):gsub("return sm.experiment",
      "sm.randn(100) math.random() return sm.experiment")))
    smrun "none.lua"
    smrun "some.lua"
    assert.equal(tiny.metrics(workspace .. "/runs/none/default"), tiny.metrics(workspace .. "/runs/some/default"))
  end)

  it("is refused as a seed", function()
    write("drawn.lua", "", "local drawn = math.random(1000000)", "drawn")
    local output, code = smrun "drawn.lua"
    assert.equal(1, code)
    assert.truthy(output:find("the seed of the experiment depends on numbers that the file draws", 1, true), output)
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("comes again in a sweep, in resume and in eval, with the same bits", function()
    write("e.lua", "local p = sm.params { seed = 1, lr = 0.1 }", "", "p.seed")
    local alone = drawn "e.lua seed=2"
    local output, code = smrun "e.lua seed=1..2 --again --quiet"
    assert.equal(0, code, output)
    local runs = workspace .. "/runs/e/"
    assert.equal(tiny.metrics(runs .. "seed=2"), tiny.metrics(runs .. "seed=2-2"))
    assert.not_equal(tiny.metrics(runs .. "seed=2"), tiny.metrics(runs .. "default"))
    assert.equal(alone, drawn "eval runs/e/seed=2")
  end)

  it("resumes math.random where it stood", function()
    tiny.write(workspace .. "/e.lua", (experiment:format(with_params, "local calls = { 0 }", "p.seed"):gsub(
      "return output", "calls[1] = calls[1] + 1 if calls[1] == 4 and io.open 'stop' then "
      .. "io.open 'here':read 'a' end return output")))
    local output, code = smrun "e.lua --runs whole"
    assert.equal(0, code, output)
    output = tiny.stopped { workspace = workspace, at = "", arguments = "e.lua", signal = "TERM" }
    assert.truthy(output:find "interrupted after step", output)
    output, code = smrun "resume runs/e/default"
    assert.equal(0, code, output)
    assert.equal(tiny.metrics(workspace .. "/whole/e/default"), tiny.metrics(workspace .. "/runs/e/default"))
  end)
end)

describe("math.random in an experiment", function()
  local random = require "sm.random"
  local lua_random = math.random

  before_each(function() random.train(3) end)
  after_each(function() random.load_file(nil) end)

  it("has Lua's interface", function()
    for _ = 1, 1000 do
      local x = math.random()
      assert.is_true(math.type(x) == "float" and x >= 0 and x < 1)
      local n = math.random(3)
      assert.is_true(math.type(n) == "integer" and n >= 1 and n <= 3)
      n = math.random(-2, 2)
      assert.is_true(n >= -2 and n <= 2)
    end
    assert.equal(5, math.random(5, 5))
    assert.equal("integer", math.type(math.random(0)))
    assert.equal("integer", math.type(math.random(math.mininteger, math.maxinteger)))
    assert.equal(1, math.random(1.0))
    local function wrong(expected, ...)
      local ok, message = pcall(function(...) local n = math.random(...) return n end, ...)
      assert.is_false(ok)
      assert.truthy(message:find("^tests/lua/seeds_spec.lua:%d+: " .. expected), message)
    end
    wrong("bad argument #1 to 'random' %(interval is empty%)", -1)
    wrong("bad argument #2 to 'random' %(interval is empty%)", 2, 1)
    wrong("bad argument #1 to 'random' %(number has no integer representation%)", 1.5)
    wrong("bad argument #1 to 'random' %(number expected, got table%)", {})
    wrong("wrong number of arguments", 1, 2, 3)
  end)

  it("is even over a range that is no power of two", function()
    local counts = { 0, 0, 0 }
    for _ = 1, 30000 do
      local n = math.random(3)
      counts[n] = counts[n] + 1
    end
    for _, count in ipairs(counts) do assert.is_true(math.abs(count - 10000) < 400, count) end
  end)

  it("starts anew at math.randomseed, and stands where a checkpoint saw it", function()
    math.randomseed(42)
    local first = math.random()
    local state = random.state()
    local second = math.random(0)
    random.train(8)
    random.restore(state)
    assert.equal(second, math.random(0))
    math.randomseed(42)
    assert.equal(first, math.random())
    math.randomseed(43)
    assert.not_equal(first, math.random())
    local after = random.state()
    math.randomseed() -- asks for an arbitrary seed, which no run could repeat
    assert.same(after, random.state())
  end)

  it("begins where a checkpoint of version 0.1.0 says nothing of it", function()
    local expected = math.random(0)
    random.restore { seed = 3, general = 0, initialisation = 0, order = 0, dropout = 0 }
    assert.equal(expected, math.random(0))
  end)

  it("is Lua's own in a plain script", function()
    random.load_file(nil)
    lua_random = math.random
    math.randomseed(1)
    local first = math.random(0)
    math.randomseed(1)
    assert.equal(first, math.random(0))
    random.train(3)
    math.randomseed(1)
    assert.not_equal(first, lua_random(0))
  end)
end)
