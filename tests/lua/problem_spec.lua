--- Errors that code reacts to: their kind stays with them, whatever they pass on their way.
local beneath = require "sm.runtime".io.beneath
local problem = require "sm.problem"
local sm = require "sm"
local usage = require "sm.usage"
local helpers = dofile "tests/lua/helpers.lua"
local nn, optim = sm.nn, sm.optim

local function raised(f, ...)
  local ok, met = pcall(f, ...)
  assert.is_false(ok)
  return met
end

local function exhaust()
  return sm.zeros(1 << 20, 1 << 20, 1 << 10)
end

describe("an error of a kind", function()
  it("reads as a text", function()
    local met = raised(exhaust)
    assert.equal("memory", problem.kind(met))
    assert.matches("^tests/lua/problem_spec.lua:%d+: out of memory: a %w+ tensor of shape {", tostring(met))
    assert.matches("^out of memory", problem.words(met))
    assert.truthy(met:find("out of memory", 1, true))
    assert.equal(tostring(met) .. "!", met .. "!")
    assert.equal("! " .. tostring(met), "! " .. met)
    assert.equal(tostring(met), ("%s"):format(met))
    assert.is_false(getmetatable(met))
  end)

  it("has it behind coroutines, raised again, and in a layer's words", function()
    assert.equal("memory", problem.kind(raised(coroutine.wrap(exhaust))))
    assert.equal("memory", problem.kind(select(2, coroutine.resume(coroutine.create(exhaust)))))
    assert.equal("memory", problem.kind(raised(function() error(raised(exhaust)) end)))
    assert.equal("memory", problem.kind(raised(function() error(raised(exhaust), 0) end)))
    local model = nn.sequential { nn.fn { function() return exhaust() end, name = "greedy" } }
    local met = raised(model.build, model, { 3 })
    assert.equal("memory", problem.kind(met))
    assert.matches("in layer 'greedy' %(fn%) given {N, 3}: out of memory", tostring(met))
  end)

  it("is Lua's own too where there is no memory", function()
    assert.equal("memory", problem.kind "not enough memory")
    assert.equal("memory", problem.kind "x.lua:1: not enough memory") -- as coroutine.wrap raises it
  end)

  it("is not had by other errors", function()
    assert.is_nil(problem.kind "out of memory")
    assert.is_nil(problem.kind { kind = "memory" })
    assert.is_nil(problem.kind(nil))
    assert.equal("text", problem.reworded("nothing special", "text"))
    assert.equal("text", problem.words "text")
  end)

  it("may be changed by a script and still be shown", function()
    local met = raised(exhaust)
    met.message, met.kind, met.words = {}, nil, false
    assert.is_string(tostring(met))
    assert.is_nil(problem.kind(met))
    assert.equal("false", problem.words(met))
  end)

  it("tells what an optimizer could not do", function()
    local w = sm.ones(3):requires_grad()
    local opt = optim.sgd { lr = 0.1 }
    assert.equal("unmoved", problem.kind(raised(opt.step, opt)))
    opt:add { w = w }
    assert.equal("unmoved", problem.kind(raised(opt.step, opt)))
    w.grad = sm.full({ 3 }, 1 / 0)
    local met = raised(opt.step, opt)
    assert.equal("not finite", problem.kind(met))
    assert.equal("gradient of 'w' is not finite", problem.words(met))
  end)

  it("tells a mistake on the command line", function()
    local met = raised(usage.fail, "no '%s'", "x")
    assert.equal("usage", problem.kind(met))
    assert.is_true(usage.is(met))
    assert.equal("no 'x'", tostring(met))
  end)
end)

describe("an attempt", function()
  it("gives what it came to, or why not", function()
    assert.same({ true, 1, 2 }, { problem.attempt(function(a, b) return a, b end, 1, 2) })
    assert.same({ false, "x" }, { problem.attempt(error, "x", 0) })
  end)

  it("is not where an error ends that nothing tried is to blame for", function()
    assert.equal("memory", problem.kind(raised(problem.attempt, exhaust)))
    local interruption = problem.new("interrupted", "interrupted")
    assert.equal(interruption, raised(problem.attempt, error, interruption))
  end)
end)

it("a link where none may be is told apart from other reasons", function()
  local place = os.tmpname()
  os.remove(place)
  assert(os.execute(("mkdir %s && ln -s / %s/link && mkdir %s/file"):format(place, place, place)))
  local text, reason, kind = beneath.read(place, "link", 100)
  assert.is_nil(text)
  assert.matches("symbolic link", reason)
  assert.equal("link", kind)
  text, reason, kind = beneath.read(place, "file", 100)
  assert.is_nil(text)
  assert.is_string(reason)
  assert.is_nil(kind)
  os.execute("rm -r " .. place)
end)

if os.getenv "SMRUN" then
  it("a signal's is met as one of a kind, which reads as a text, in whatever runs", function()
    local tiny = dofile "tests/lua/tiny_experiment.lua"
    local workspace = tiny.workspace()
    helpers.write(workspace .. "/x.lua", [[
      local sm = require "sm"
      local model = sm.nn.sequential { sm.nn.fn { function(x)
        io.open "here":read "a"
        while true do end
        return x
      end } }
      local ok, met = pcall(model.build, model, { 1 })
      io.stderr:write(type(met), " ", tostring(met), "\n")
      error(met)
    ]])
    for _, trust in ipairs { "", "--trust " } do
      local said, code = tiny.stopped { workspace = workspace, at = "", arguments = trust .. "x.lua", signal = "TERM",
        environment = "env --default-signal" }
      assert.matches("^table interrupted\nsmrun: interrupted\n", said)
      assert.equal(130, code)
    end
    tiny.remove(workspace)
  end)
end
