--- What the fuzzer of the interface gives to functions so that they get somewhere: tensors of a few shapes that go
-- together, models, optimizers, data sets. Each method takes what earlier calls made, or makes one and says how.
local Generator = require "generator"
local Hostile = require "hostile"
local runtime = require "sm.runtime"
local sm = require "sm"

local real = runtime.real
local Values = Generator

-- The shapes by kind.
local SHAPE <const> = {
  scalar = {}, vector = { 4 }, matrix = { 4, 4 }, batch = { 2, 4, 4 }, image = { 2, 6, 6, 4 }, filters = { 3, 3, 4, 4 },
  grey = { 4, 6, 6, 1 }, one = { 1 }, empty = { 0, 4 }, wide = { 3, 40 }, row = { 1, 4 }, column = { 4, 1 },
}
-- The same where tensors have no elements, but giant axes: nothing may count along those.
local GIANT <const> = {
  { vector = { 0 }, matrix = { 1 << 60, 0 }, batch = { 1 << 30, 1 << 30, 0 }, image = { 1 << 40, 6, 6, 0 },
    filters = { 3, 3, 0, 0 }, grey = { 1 << 50, 6, 6, 0 }, empty = { 0, 1 << 60 }, wide = { 1 << 40, 2, 0 } },
  { vector = { 1 << 60, 0 }, matrix = { 0, 1 << 60 }, batch = { 0, 1 << 30, 1 << 30 },
    image = { 0, 1 << 30, 1 << 20, 4 }, filters = { 3, 3, 4, 4 }, row = { 1, 0, 1 << 60 }, column = { 0, 1 },
    grey = { 2, 1 << 30, 0, 4 } },
  { vector = { 4 }, matrix = { 0, 4 }, image = { 2, 0, 1 << 50, 4 }, filters = { 1 << 15, 1 << 15, 0, 4 },
    batch = { 1 << 40, 0, 4 }, wide = { 1 << 20, 0, 1 << 20 }, empty = { 1 << 40, 0, 1 << 20 } },
}
local SHAPES <const> = {
  "scalar", "vector", "matrix", "batch", "image", "filters", "grey", "one", "empty", "wide", "row", "column",
}
local SIZES <const> = { 0, 1, 1, 2, 3, 4, 5, 8, 17 }
local HUGE <const> = { 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 60, math.maxinteger }

local function shape_text(shape)
  return "{" .. table.concat(shape, ", ") .. "}"
end

--- A shape of a few small sizes; now and then without elements, but with giant axes.
local function odd_shape(g)
  local shape = {}
  for axis = 1, g:below(5) - 1 do shape[axis] = g:pick(SIZES) end
  if g:chance(0.15) then
    shape = { g:pick(HUGE), g:pick(SIZES), 2 }
    table.insert(shape, g:below(#shape + 1), 0)
    while g:chance(0.5) do table.remove(shape) end
    if g:chance(0.5) then table.insert(shape, 1, 0) end
  end
  return shape
end

local FILLS = {
  function(g, shape) return sm.randn(shape), ("sm.randn %s"):format(g:text(shape)) end,
  function(g, shape) return sm.full(shape, 0.5), ("sm.full(%s, 0.5)"):format(g:text(shape)) end,
  function(g, shape) return sm.zeros(shape), ("sm.zeros %s"):format(g:text(shape)) end,
  function(g, shape)
    local number = g:pick { 1e30, -1e30, 1 / 0, 0 / 0, 1e-40 }
    return runtime.tensor.full(shape, number), ("sm.full(%s, %s)"):format(g:text(shape), g:text(number))
  end,
}

--- A tensor of this kind of shape and type, not kept.
function Values:fresh(kind, dtype)
  if self.shapes == nil then self.shapes = self:chance(0.08) and self:pick(GIANT) or SHAPE end
  local shape = kind and (self.shapes[kind] or SHAPE[kind]) or odd_shape(self)
  local made, x, text
  if dtype == real then
    made, x, text = pcall(self:pick(FILLS), self, shape)
  else
    local number = self:below(4) - 1
    made, x = pcall(sm.full, shape, number, dtype)
    text = ("sm.full(%s, %d, %q)"):format(shape_text(shape), number, dtype)
  end
  if not made then return self:fresh("scalar", dtype) end -- what is too large
  if dtype == real and self:chance(0.3) then x, text = x:requires_grad(), "(" .. text .. "):requires_grad()" end
  return self:name(x, "t", "%s", text)
end

-- Tensors made of others: shared, detached, computed, changed since, released.
local DERIVED = {
  function(x) return x:detach(), "%s:detach()" end,
  function(x) return x:reshape(-1), "%s:reshape(-1)" end,
  function(x) return x[1], "%s[1]" end,
  function(x) return x:slice(1, -2), "%s:slice(1, -2)" end,
  function(x) return x:slice(2, 1), "%s:slice(2, 1)" end,
  function(x) return x:exp(), "%s:exp()" end,
  function(x) return x * x, "%s * %1$s" end,
  function(x) return x:transpose(), "%s:transpose()" end,
  function(x) return x:copy_(x:detach()), "%s:copy_(%1$s:detach())" end,
  function(x)
    x.grad = x:detach()
    return x, "(function(x) x.grad = x:detach() return x end)(%s)"
  end,
}

--- A tensor; of a kind of shape and a dtype where these are given.
function Values:tensor(kind, dtype)
  local pool = self.pool.tensor
  if not kind and pool and #pool > 0 and self:chance(0.5) then return self:pick(pool) end
  local key = kind and kind .. (dtype or real)
  if key and self.pool[key] and self:chance(0.6) then return self:pick(self.pool[key]) end
  dtype = dtype or kind and real or self:pick { real, real, real, "uint8", "int32" }
  local x = self:fresh(kind or self:chance(0.6) and self:pick(SHAPES) or nil, dtype)
  if self:chance(kind and 0.1 or 0.3) then
    local source = x
    local made, result, text = pcall(self:pick(DERIVED), source)
    if made and runtime.tensor.is_tensor(result) then
      x = result
      self:name(x, "t", "%s", (text:gsub("%%1$s", self.names[source]):gsub("%%s", self.names[source])))
    end
  end
  if not kind and self:chance(0.02) then
    self:say("release(%s)", self.names[x])
    self.release(x)
  end
  if key then self:keep(key, x) end
  return self:keep("tensor", x)
end

--- Labels 0 … 3 for four rows.
function Values:labels()
  return self:keep("tensor", self:name(sm.tensor({ 0, 1, 2, 3 }, "int32"), "t", 'sm.tensor({ 0, 1, 2, 3 }, "int32")'))
end

-- What an object of each kind is made by: kind → functions(g) → object, text.
local nn, optim = sm.nn, sm.optim
local MAKE = {
  model = {
    function() return nn.sequential { nn.linear { 4 }, nn.softmax { groups = 2 }, nn.linear { 4 } },
      "nn.sequential { nn.linear { 4 }, nn.softmax { groups = 2 }, nn.linear { 4 } }" end,
    function() return nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.relu(), nn.maxpool2d { 2 }, nn.flatten(),
      nn.linear { 4 } }, "nn.sequential { nn.conv2d { 4, kernel = 3 }, nn.relu(), nn.maxpool2d { 2 }, "
      .. "nn.flatten(), nn.linear { 4 } }" end,
    function() return nn.sequential { nn.batchnorm {}, nn.dropout { 0.5 }, nn.residual { nn.linear { 4 } } },
      "nn.sequential { nn.batchnorm {}, nn.dropout { 0.5 }, nn.residual { nn.linear { 4 } } }" end,
    function() return nn.sequential { nn.conv2d { 4, kernel = 3, stride = 2 }, nn.softmax { groups = 2 }, nn.flatten(),
      nn.linear { 4 } }, "nn.sequential { nn.conv2d { 4, kernel = 3, stride = 2 }, nn.softmax { groups = 2 }, "
      .. "nn.flatten(), nn.linear { 4 } }" end,
    function() return nn.linear { 4 }, "nn.linear { 4 }" end,
    function()
      local shared = nn.linear { 4 }
      return nn.sequential { shared, nn.concat { nn.gelu(), shared }, nn.residual { nn.layernorm(), nn.linear { 8 } },
        nn.branch { a = nn.linear { 2 }, b = nn.softmax { groups = 2, temperature = "learned" } } },
        "nn.sequential { shared, nn.concat { nn.gelu(), shared }, nn.residual { nn.layernorm(), nn.linear { 8 } }, "
        .. "nn.branch { a = nn.linear { 2 }, b = nn.softmax { groups = 2, temperature = \"learned\" } } } with "
        .. "shared = nn.linear { 4 }"
    end,
    function() return nn.sequential { nn.lstm { 4 }, nn.attention { heads = 2 }, nn.flatten(), nn.linear { 4 } },
      "nn.sequential { nn.lstm { 4 }, nn.attention { heads = 2 }, nn.flatten(), nn.linear { 4 } }" end,
    function(g)
      local f = Hostile.func(g)
      local own = nn.layer { kind = "own", forward = f, build_values = function(self, shape)
        self:make_parameter("gain", { shape[#shape] }, sm.ones)
      end }
      return nn.sequential { own(), nn.linear { 4 } }, ("nn.sequential { own, nn.linear { 4 } } with own = nn.layer { "
        .. "kind = \"own\", forward = %s, build_values = (a parameter 'gain') }()"):format(g:text(f))
    end,
    function(g)
      local f = Hostile.func(g)
      return nn.fn(f), ("nn.fn(%s)"):format(g:text(f))
    end,
  },
  optimizer = {
    function(g)
      local name = g:pick { "sgd", "rmsprop", "adam", "adamw", "smorms3", "lion", "muon" }
      local opt, x = optim[name] { lr = 0.01 }, g:tensor("matrix")
      local text = ("sm.optim.%s { lr = 0.01 }"):format(name)
      if g:chance(0.7) and pcall(opt.add, opt, { w = x:requires_grad() }) then
        text = ("%s with add { w = %s:requires_grad() }"):format(text, g:text(x))
        if g:chance(0.7) then
          x.grad = sm.ones(4, 4)
          text = text .. " and a gradient of ones"
          if g:chance(0.3) then
            opt:watch()
            opt:step()
            text = text .. ", after a step that was watched"
          end
        end
      end
      return opt, text
    end,
  },
  dataset = {
    function() return sm.data.tensors { inputs = sm.rand(20, 4), targets = sm.full({ 20 }, 1, "int32"), classes = 4,
      validation = 5 }, 'sm.data.tensors { inputs = sm.rand(20, 4), targets = sm.full({ 20 }, 1, "int32"), '
      .. "classes = 4, validation = 5 }" end,
    function() return sm.data.tensors { inputs = sm.full({ 12, 6, 6, 1 }, 9, "uint8"), targets = sm.arange(0, 12, 1,
      "int32"), classes = 12, test_inputs = sm.full({ 3, 6, 6, 1 }, 9, "uint8"),
      test_targets = sm.zeros({ 3 }, "int32") }, 'sm.data.tensors { inputs = sm.full({ 12, 6, 6, 1 }, 9, "uint8"), … }'
    end,
  },
  split = { function(g)
    local set = g:object "dataset"
    return set.train, g:text(set) .. ".train"
  end },
  stream = { function(g)
    local set = g:object "dataset"
    return set:stream(4), g:text(set) .. ":stream(4)"
  end },
  canvas = { function() return require "sm.canvas".new(40, 30, "#ffffff"), 'canvas.new(40, 30, "#ffffff")' end },
  view = {
    function() return sm.view.filters "conv1", 'sm.view.filters "conv1"' end,
    function() return sm.view.groups "conv1", 'sm.view.groups "conv1"' end,
    function() return sm.view.paint { pairs = { { 0, 1 } } }, "sm.view.paint { pairs = { { 0, 1 } } }" end,
  },
  op = { function(g)
    local forward, backward = Hostile.func(g), Hostile.func(g)
    return sm.op { name = "op", forward = forward, backward = backward },
      ("sm.op { name = \"op\", forward = %s, backward = %s }"):format(g:text(forward), g:text(backward))
  end },
  schedule = {
    function() return optim.cosine { lr = 0.1, steps = 10 }, "sm.optim.cosine { lr = 0.1, steps = 10 }" end,
    function() return optim.warmup { steps = 3, after = 0.1 }, "sm.optim.warmup { steps = 3, after = 0.1 }" end,
  },
  init = { function() return nn.init.he_normal(), "nn.init.he_normal()" end },
  batches = { function(g)
    local set = g:object "dataset"
    return set:batches(3, { epochs = 2 }), g:text(set) .. ":batches(3, { epochs = 2 })"
  end },
  experiment = { function(g)
    local given = g:declaration()
    return sm.experiment(given), ("sm.experiment %s"):format(g:text(given))
  end },
  reader = { function()
    sm.save("kept.safetensors", { w = sm.ones(2, 2) })
    return runtime.io.open_safetensors "kept.safetensors",
      'runtime.io.open_safetensors "kept.safetensors" with w = sm.ones(2, 2)'
  end },
  writer = { function() return runtime.io.create "made.safetensors", 'runtime.io.create "made.safetensors"' end },
}

Values.KINDS = {}
for kind in pairs(MAKE) do Values.KINDS[#Values.KINDS + 1] = kind end
table.sort(Values.KINDS)

--- An object of a kind; an error where it cannot be made (memory may be short).
function Values:object(kind)
  if kind == "tensor" then return self:tensor() end
  if self.pool[kind] and self:chance(0.6) then return self:pick(self.pool[kind]) end
  local value, text = self:pick(MAKE[kind])(self)
  self:name(value, kind:sub(1, 3), "%s", text)
  return self:keep(kind, value)
end

--- What sm.experiment takes: a run of a few steps.
function Values:declaration()
  return {
    data = self:object "dataset", model = self:object "model", optimizer = optim.sgd { lr = 0.01 },
    schedule = { steps = self:below(3), batch = self:below(4) }, loss = self:chance(0.2) and Hostile.func(self) or nil,
    views = self:chance(0.2) and { self:object "view" } or nil, name = self:chance(0.3) and "named" or nil,
  }
end

--- Any object that there is, a result of an earlier call among them.
function Values:anything()
  if self.pool.result and self:chance(0.3) then return self:pick(self.pool.result) end
  if self:chance(0.4) then return self:tensor() end
  return self:object(self:pick(Values.KINDS))
end

return Values
