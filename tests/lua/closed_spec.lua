--- `sm` is not for scripts to change, nor is anything that the library shares between what it makes.
local lfs = require "lfs"
local sm = require "sm"
local helpers = dofile "tests/lua/helpers.lua"
local error_of, has, quote = helpers.error_of, helpers.has, helpers.quote

describe("the library", function()
  it("cannot be changed through sm and its rooms", function()
    local rooms = { sm = sm, ["sm.nn"] = sm.nn, ["sm.nn.init"] = sm.nn.init, ["sm.optim"] = sm.optim,
      ["sm.data"] = sm.data, ["sm.view"] = sm.view, ["sm.png"] = sm.png, ["view.filters"] = sm.view.filters }
    for name, room in pairs(rooms) do
      local words = name .. " cannot be changed, got an assignment to '"
      has(error_of(function() room.zeros = print end), "closed_spec.lua:13: " .. words .. "zeros'")
      has(error_of(table.insert, room, 1), words .. "1'")
      has(error_of(table.move, { 1 }, 1, 1, 1, room), words .. "1'")
      has(error_of(setmetatable, room, {}), "cannot change a protected metatable")
      assert.is_false(getmetatable(room))
      assert.is_nil(next(room))
      for _, state in ipairs { select(2, pairs(room)) } do assert.is_nil(state) end
    end
    local names = {}
    for name, value in pairs(sm.optim) do
      names[#names + 1] = name
      assert.equal(value, sm.optim[name])
    end
    assert.is_true(#names > 8)
    assert.matches("^sm.optim, with optimizers and schedules: adam, ", tostring(sm.optim))
  end)

  it("shares nothing with a confined script that this could change", function()
    local workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace) and lfs.mkdir(workspace .. "/own"))
    finally(function() os.execute("rm -r " .. quote(workspace)) end)
    helpers.write(workspace .. "/script.lua", helpers.read "tests/lua/reachable.lua")
    helpers.write(workspace .. "/small.lua", [[
      local sm = require "sm"
      return sm.experiment {
        name = "small", data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.ones(4, 1) }, loss = "mse",
        model = sm.nn.linear { 1 }, optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = 1, batch = 2 },
      }]])
    local code = ([[
      local here = %q
      require "sm.cli.allowed".install()
      require "sm.reach".confine { read = { here }, write = { here .. "/own" }, home = here }
      require "sm.experiment.load".file("script.lua", nil, {})]]):format(workspace)
    local status, out, err = helpers.shell(workspace,
      '"$SMRUN" small.lua --quiet && "$SMRUN" --trust -e ' .. quote(code))
    assert.same({ "", 0 }, { err, status })
    has(out, "hundreds of objects\n")
    assert.equal("", (out:gsub("^.*hundreds of objects\n", ""):gsub("\n+$", "")))
  end)
end)
