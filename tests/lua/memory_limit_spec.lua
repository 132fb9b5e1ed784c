--- Programs that use up the memory that they are allowed.
local helpers = dofile "tests/lua/helpers.lua"

local workspace

-- `use_up[name]` takes memory without end; each is caught, one after the other, and work goes on in what it has freed.
local program <const> = [[
local sm = require "sm"

local use_up = {
  array = function() local all = {} for i = 1, math.huge do all[i] = i end end,
  tables = function() local all = {} for i = 1, math.huge do all[i] = { i } end end,
  strings = function() local all = {} for i = 1, math.huge do all[i] = ("x"):rep(1000) .. i end end,
  doubled = function() local text = "x" while true do text = text .. text end end,
  closures = function() local f = print for i = 1, math.huge do local g = f; f = function() return g(i) end end end,
  coroutines = function() local all = {} for i = 1, math.huge do all[i] = coroutine.create(print) end end,
  large = function() local all = {} for i = 1, math.huge do all[i] = sm.zeros(1000, 1000) end end,
  small = function() local all = {} for i = 1, math.huge do all[i] = sm.zeros(40) end end,
  impossible = function() return sm.zeros(1 << 20, 1 << 12) end,
  scratch = function() local all = {} for i = 1, math.huge do all[i] = sm.ones(200000):sort() end end,
  products = function()
    local all, x = {}, sm.ones(500, 500)
    for i = 1, math.huge do all[i] = x:matmul(x) end
  end,
  tape = function()
    local x = sm.ones(100, 100):requires_grad()
    local y = x
    for _ = 1, math.huge do y = (y * 1.0001 + x):tanh() end
  end,
  gradients = function()
    local x, all = sm.ones(300, 300):requires_grad(), {}
    for i = 1, math.huge do
      local y = x
      for _ = 1, 20 do y = (y * x):tanh() end
      y:sum():backward()
      all[i] = y
    end
  end,
  both = function()
    local all = {}
    for i = 1, math.huge do all[i] = { sm.zeros(1000), tostring(i) .. " and more", {}, sm.zeros(i % 5000 + 1) } end
  end,
  finalizers = function()
    local all = {}
    for i = 1, math.huge do
      all[i] = setmetatable({ sm.zeros(100) }, { __gc = function(x) x[2] = { sm.zeros(1) } end })
    end
  end,
}

local function work()
  local x = sm.ones(500, 500):requires_grad()
  local y = x:matmul(x):sum()
  y:backward()
  local all = {}
  for i = 1, 10000 do all[i] = { i, tostring(i) } end
  return y:item() == 500 ^ 3 and x.grad[1][1]:item() == 1000 and #all
end

local names = {}
for name in pairs(use_up) do names[#names + 1] = name end
table.sort(names)
for round = 1, ROUNDS do
  local name = names[(round * 7 + SEED) % #names + 1]
  local ok, why = pcall(use_up[name])
  why = tostring(why)
  assert(not ok and why:find "memory", name .. ": " .. why)
  collectgarbage() -- what the call has left on Lua's stack lives on otherwise, until other calls have overwritten it
  assert(work() == 10000, name)
end
print "done"
]]

describe("where memory ends", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(require "lfs".mkdir(workspace))
  end)

  teardown(function() os.execute("rm -rf -- " .. helpers.quote(workspace)) end)

  for seed, mebibytes in ipairs { 70, 95, 130 } do
    it(("at %d MiB, a program gets an error and goes on"):format(mebibytes), function()
      helpers.write(workspace .. "/x.lua", (program:gsub("ROUNDS", seed == 1 and 15 or 5):gsub("SEED", seed)))
      local status, out, err = helpers.shell(workspace,
        ('"$SMRUN" --max-memory %dM --threads %d x.lua'):format(mebibytes, seed))
      assert.same({ 0, "done\n", "" }, { status, out, err })
    end)
  end
end)
