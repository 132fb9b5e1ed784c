--- What views find around a layer, in networks of any form.
local sm = require "sm"
local chain = require "sm.view.chain"
local field = require "sm.view.field"

local nn = sm.nn

before_each(function() sm.seed(4) end)

-- Networks, and the path of a layer in the middle of each.
local twice = nn.layer {
  kind = "twice",
  layers = function() return { before = nn.linear { 4 }, after = nn.linear { 4 } } end,
  forward = function(self, x) return self.after(self.before(x):tanh()) + x end,
}

local function networks()
  local shared = nn.linear { 4 }
  return {
    { "linear2", nn.sequential { nn.linear { 4 }, nn.softplus(), nn.linear { 4 }, nn.tanh(), nn.linear { 2 } } },
    { "linear1", nn.sequential { nn.linear { 4 }, nn.softplus() } },
    { "residual1.linear1", nn.sequential { nn.linear { 4 }, nn.residual { nn.linear { 4 }, nn.tanh() }, nn.tanh() } },
    { "residual1.shortcut", nn.sequential { nn.tanh(),
      nn.residual { nn.linear { 3 }, nn.tanh(), shortcut = nn.linear { 3 } }, nn.linear { 2 } } },
    { "residual1", nn.sequential { nn.linear { 4 }, nn.residual { nn.linear { 4 }, nn.tanh() }, nn.tanh() } },
    { "concat1.sequential1.linear1", nn.sequential { nn.tanh(), nn.concat { nn.linear { 2 }, nn.sequential {
      nn.linear { 3 }, nn.tanh(), nn.linear { 2 } } }, nn.linear { 3 } } },
    { "add1.linear1", nn.sequential { nn.add { nn.linear { 4 }, nn.tanh() }, nn.softplus() } },
    { "twice1.before", nn.sequential { nn.linear { 4 }, twice(), twice(), nn.tanh() } },
    { "twice2.after", nn.sequential { nn.linear { 4 }, twice(), twice(), nn.tanh() } },
    { "linear1", nn.sequential { shared, nn.tanh(), shared, nn.sequential { nn.tanh(), shared } } },
  }
end

it("goes on from a layer of any network as the network does", function()
  for i, case in ipairs(networks()) do
    local path, model = case[1], case[2]:build { 4 }
    local x = sm.randn(3, 4)
    local layer = model:layer(path)
    local seen = chain.watch(model, layer, x)
    assert.same(model(x):totable(), seen.result:totable(), i)
    assert.same(model:activations(x)[path]:totable(), seen.output:totable(), i)
    assert.same(layer:apply(seen.input):totable(), seen.output:totable(), i)
    for _ = 1, 2 do assert.same(seen.result:totable(), seen.onward(seen.output):totable(), i) end
    -- The gradient of what comes after, by differences: onward depends on what it is given as the model does.
    if i < 10 then -- the layer of the last is applied again, which is no part of what is given
      local leaf = seen.output:detach():requires_grad()
      sm.gradcheck(seen.onward, { leaf }, { tolerance = 0.05 })
      local doubled = seen.onward(seen.output * 2):totable()
      assert.is_not.same(seen.result:totable(), doubled, i)
    end
  end
end)

it("computes only what comes after", function()
  local count = 0
  local counting = nn.fn(function(x)
    count = count + 1
    return x * 2
  end)
  local model = nn.sequential { nn.sequential { counting, nn.linear { 4 } }, nn.linear { 4 }, nn.tanh() }:build { 4 }
  local seen = chain.watch(model, model.layers[2], sm.randn(2, 4))
  count = 0
  seen.onward(seen.output)
  assert.equal(0, count)
end)

it("names what follows in a row, and the way to a layer", function()
  local model = nn.sequential {
    nn.conv2d { 2, kernel = 3 }, nn.batchnorm(), nn.relu(),
    nn.concat { nn.conv2d { 2, kernel = 1 }, nn.sequential { nn.conv2d { 2, kernel = 5 }, nn.tanh() } },
    nn.residual { nn.conv2d { 4, kernel = 3 }, nn.relu(), shortcut = nn.conv2d { 4, kernel = 1 } },
  }:build { 8, 8, 1 }
  local function paths(list)
    local found = {}
    for i, layer in ipairs(list) do found[i] = layer.path end
    return table.concat(found, " ")
  end
  assert.equal("relu1", chain.following(model:layer "conv1", { normalisation = true }).path)
  assert.equal("batchnorm1", chain.following(model:layer "conv1").path)
  assert.equal("concat1.sequential1.tanh1", chain.following(model:layer "concat1.sequential1.conv1").path)
  assert.is_nil(chain.following(model:layer "concat1.conv1")) -- beside it, not after it
  assert.equal("residual1.relu1", chain.following(model:layer "residual1.conv1").path)
  assert.is_nil(chain.following(model:layer "residual1.relu1"))
  assert.equal("conv1 batchnorm1 relu1 concat1.sequential1.conv1 concat1.sequential1.tanh1",
    paths(chain.up_to(model:layer "concat1.sequential1.tanh1")))
  assert.equal("conv1 batchnorm1 relu1 concat1 residual1.shortcut",
    paths(chain.up_to(model:layer "residual1.shortcut")))
  assert.same({ 7, 7 }, field.of(model:layer "concat1.sequential1.conv1").size)
  assert.is_true(field.of(model:layer "residual1.conv1").whole) -- what it sees goes through both branches
end)

describe("views go by roles:", function()
  local view = sm.view
  local set = sm.data.tensors { inputs = sm.rand(20, 8, 8, 1), targets = sm.zeros({ 20 }, "int32"), classes = 3 }

  local function network(activation)
    return nn.sequential { nn.conv2d { 4, kernel = 3 }, activation, nn.flatten(), nn.linear { 3 } }:build { 8, 8, 1 }
  end

  it("a softmax over groups, and what is none", function()
    for _, activation in ipairs { nn.softmax { groups = 2 }, nn.gumbel_softmax { groups = 2 } } do
      assert.equal(activation, view.groups "conv1":check(network(activation), set))
    end
    for _, activation in ipairs {
      nn.sparsemax { groups = 2 }, nn.kwta { k = 1, groups = 2 }, nn.softmax { axis = 2 },
    } do
      local model = network(activation)
      assert.matches("is followed by a " .. activation.kind, select(2, pcall(function()
        view.groups "conv1":check(model, set)
      end)))
      assert.truthy(view.filters "conv1":check(model, set))
      assert.is_number(view.filters "conv1":measure(model, set).conv1_used)
    end
  end)

  it("layers of one's own have theirs", function()
    local given = { kind = "swish", role = "activation", forward = function(_, x) return x * x:sigmoid() end }
    local model = network(nn.layer(given)())
    assert.equal("swish1", view.groups { "conv1", control = 2 }:check(model, set).path)
    given.role = "grouping"
    assert.matches("swish: role \"grouping\" is that of a softmax over groups; 'methods' must have sizes",
      select(2, pcall(nn.layer, given)))
    given.forward = function(_, x) return x:softmax { groups = 2 } end
    given.methods = { sizes = function(_, channels) return { channels // 2, channels // 2 } end,
      temperature = function() return 1 end }
    local grouped = network(nn.layer(given)())
    assert.equal("swish1", view.groups "conv1":check(grouped, set).path)
    local found, expected = view.groups "conv1", view.groups "conv1"
    local twin = network(nn.softmax { groups = 2 })
    twin:load(grouped:parameters())
    assert.same(expected:measure(twin, set), found:measure(grouped, set))
  end)
end)
