--- What smrun lets an experiment write, and says of it.
local helpers = dofile "tests/lua/helpers.lua"
local tiny = require "tests.lua.tiny_experiment"

local workspace

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

--- Runs smrun in the workspace. What it prints, in one line.
local function run(words)
  local status, out, err = helpers.shell(workspace, '"$SMRUN" ' .. words)
  assert.same({ 0, "" }, { status, err })
  return (out:gsub("%s+", " "))
end

local experiment <const> = [[
local sm = require "sm"
%s
return sm.experiment {
  data = sm.data.tensors { inputs = sm.ones(8, 2), targets = sm.ones(8, 1), validation = 4 }, loss = "mse",
  model = sm.nn.linear { 1 }, optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 2, batch = 2 },
}]]

describe("an experiment", function()
  before_each(function()
    workspace = tiny.workspace()
    write("plain.lua", experiment:format "")
  end)

  after_each(function() tiny.remove(workspace) end)

  it("says that it writes the directory of its run", function()
    assert.truthy(run "plain.lua":find("writes runs/plain/default;", 1, true))
  end)

  it("that writes before there is a run says that it writes all of its own", function()
    write("early.lua", experiment:format 'io.open("note.txt", "w"):close()')
    assert.truthy(run "early.lua":find("writes runs/early/;", 1, true))
    assert.equal("", helpers.read(workspace .. "/runs/early/note.txt"))
  end)
end)
