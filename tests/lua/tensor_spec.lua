local sm = require "sm"
local runtime = require "sm.runtime"
local helpers = dofile "tests/lua/helpers.lua"
local message = helpers.message
local real = runtime.real

--- The message of a failing call, without its position.
describe("tensor", function()
  it("is made from nested tables, sizes and ranges", function()
    local x = sm.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ 2, 3 }, x.shape)
    assert.equal(real, x.dtype)
    assert.equal(2, #x)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, x:totable())
    assert.same({ { 0, 0 } }, sm.zeros(1, 2):totable())
    assert.same({ { 1, 1 } }, sm.ones({ 1, 2 }, "int32"):totable())
    assert.same({ 7, 7 }, sm.full({ 2 }, 7):totable())
    assert.same({ 0, 1, 2 }, sm.arange(3):totable())
    assert.same({ 1, 3, 5 }, sm.arange(1, 6, 2, "int32"):totable())
    assert.same({ 3, 2 }, sm.arange(3, 1, -1):totable())
  end)

  it("may be a scalar or empty", function()
    local s = sm.tensor(3.5)
    assert.same({}, s.shape)
    assert.equal(3.5, s:item())
    assert.equal(3.5, s:totable())
    local e = sm.zeros(0, 4)
    assert.same({ 0, 4 }, e.shape)
    assert.same({}, e:totable())
    assert.equal(0, e:sum():item())
    assert.same({ 0, 0, 0, 0 }, e:sum(1):totable())
    assert.same({ 0, 4 }, (e + 1):exp().shape)
    assert.same({ 0, 2 }, e:matmul(sm.ones(4, 2)).shape)
    assert.same({ { 0, 0 }, { 0, 0 } }, sm.zeros(2, 0):matmul(sm.zeros(0, 2)):totable())
    assert.same({ 0 }, sm.tensor {}.shape)
  end)

  it("shares storage by reshape and along the first axis only", function()
    local x = sm.tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }
    local row, part, flat = x[2], x:slice(2, 3), x:reshape(-1)
    x:copy_(x * 10)
    assert.same({ 30, 40 }, row:totable())
    assert.same({ { 30, 40 }, { 50, 60 } }, part:totable())
    assert.same({ 10, 20, 30, 40, 50, 60 }, flat:totable())
    local copy = x:clone()
    x:copy_(x * 0)
    assert.equal(10, copy[1][1]:item())
    assert.same({ 0, 0 }, x[-1]:totable())
  end)

  it("is walked row by row", function()
    local rows = {}
    for i, row in ipairs(sm.tensor { { 1, 2 }, { 3, 4 } }) do rows[i] = row:totable() end
    assert.same({ { 1, 2 }, { 3, 4 } }, rows)
    for _ in ipairs(sm.zeros(0, 2)) do error "there is no row" end
    assert.has_error(function() ipairs(sm.zeros {})(sm.zeros {}, 0) end)
  end)

  it("converts between element types", function()
    assert.same({ 0, 255, 7 }, sm.tensor { -5, 300, 7.9 }:to("uint8"):totable())
    assert.equal("int32", sm.tensor { 1 }:to("int32").dtype)
    local x = sm.tensor { 1 }
    assert.equal(x, x:to(real))
  end)

  it("broadcasts as NumPy does", function()
    local x, v, c = sm.tensor { { 1, 2, 3 }, { 4, 5, 6 } }, sm.tensor { 10, 20, 30 }, sm.tensor { { 100 }, { 200 } }
    assert.same({ { 11, 22, 33 }, { 14, 25, 36 } }, (x + v):totable())
    assert.same({ { 101, 102, 103 }, { 204, 205, 206 } }, (c + x):totable())
    assert.same({ { 110, 120, 130 }, { 210, 220, 230 } }, (c + v):totable())
    assert.same({ { 9, 8, 7 }, { 6, 5, 4 } }, (10 - x):totable())
    assert.same({ { 1, 4, 9 }, { 16, 25, 36 } }, (x ^ 2):totable())
    assert.same({ 2, 4, 8 }, (2 ^ sm.tensor { 1, 2, 3 }):totable())
    assert.same({ -1 }, (-sm.tensor { 1 }):totable())
    assert.same({ 2, 1 }, (sm.tensor { 4, 2 } / 2):totable())
    assert.same({ 4, 4, 1, 3 }, (sm.zeros(4, 1, 1, 3) + sm.zeros(4, 1, 1)).shape)
  end)

  it("reduces along an axis or over everything", function()
    local x = sm.tensor { { 1, 9, 3 }, { 4, 5, 6 } }
    assert.equal(28, x:sum():item())
    assert.same({ 5, 14, 9 }, x:sum(1):totable())
    assert.same({ 13, 15 }, x:sum(-1):totable())
    assert.same({ 2.5, 7, 4.5 }, x:mean(1):totable())
    assert.same({ 9, 6 }, x:max(2):totable())
    assert.equal(9, x:max():item())
    assert.same({ 2, 3 }, x:argmax(2):totable())
    assert.equal(2, x:argmax():item())
    assert.same({ 1, 1 }, sm.zeros(2, 3):argmax(2):totable()) -- ties: the first
    assert.equal("int32", x:argmax(1).dtype)
  end)

  it("pools ties to the first", function()
    local x = sm.ones(1, 2, 2, 1):requires_grad()
    x:maxpool2d(2):sum():backward()
    assert.same({ { { { 1 }, { 0 } }, { { 0 }, { 0 } } } }, x.grad:totable())
  end)

  it("prints short and long ones", function()
    assert.equal("{{1, 2.5},\n {3, 4}}  " .. real .. " {2, 2}", tostring(sm.tensor { { 1, 2.5 }, { 3, 4 } }))
    assert.equal("{0, 1, 2, …, 97, 98, 99}  int32 {100}", tostring(sm.arange(100, "int32")))
    assert.equal("3  " .. real .. " {}", tostring(sm.tensor(3)))
    assert.equal("{nan}  " .. real .. " {1}", tostring(sm.tensor { 0 / 0 }))
  end)

  it("draws the same numbers from the same seed, and its streams apart", function()
    sm.seed(7)
    local a, b = sm.randn(5):totable(), sm.rand(5):totable()
    sm.seed(7)
    sm.ones(10):dropout(0.5) -- another stream
    assert.same(a, sm.randn(5):totable())
    assert.same(b, sm.rand(5):totable())
    assert.not_same(a, sm.randn(5):totable())
  end)

  describe("refuses", function()
    local x = sm.zeros(2, 3)
    local cases = {
      { "tensor: ragged tables: expected a table of 2 elements at depth 2, got one of 1",
        function() sm.tensor { { 1, 2 }, { 3 } } end },
      { "tensor: element 2 must be a number, got string", function() sm.tensor { 1, "2" } end },
      { "tensor: element 1 does not fit uint8: 256.0", function() sm.tensor({ 256 }, "uint8") end },
      { "add: shapes {2, 3} and {2, 4} do not broadcast: axis 2 of the result would have sizes 3 and 4",
        function() return x + sm.zeros(2, 4) end },
      { "matmul: {2, 3} and {2, 3} do not fit: the inner sizes 3 and 2 differ", function() x:matmul(x) end },
      { "matmul: {2, 3} and {2} do not fit: the inner sizes 3 and 2 differ",
        function() x:matmul(sm.zeros(2)) end },
      { "axis 3 is out of range for shape {2, 3}; axes count from 1, or from -1 at the end", function() x:sum(3) end },
      { "axis 0 is out of range for shape {2, 3}; axes count from 1, or from -1 at the end", function() x:sum(0) end },
      { "position 4 is out of range: the first axis has 2 elements, counted from 1", function() return x[4] end },
      { "position 0 is out of range: the first axis has 2 elements, counted from 1", function() return x[0] end },
      { "position -3 is out of range: the first axis has 2 elements, counted from 1", function() return x[-3] end },
      { "linear: the bias must have shape {2}, got {2, 1}",
        function() x:linear(sm.zeros(3, 2), sm.zeros(2, 1)) end },
      { "slice: positions 2 to 0 are no range of an axis of 2 elements, counted from 1", function() x:slice(2, 0) end },
      { "reshape: {2, 3} has 6 elements, {4} has 4", function() x:reshape(4) end },
      { "reshape: {2, 3} has 6 elements, which the known sizes (product 4) do not divide",
        function() x:reshape(4, -1) end },
      { "item: expected a tensor of one element, got shape {2, 3}", function() x:item() end },
      { "max of nothing: shape {0} is empty along the axis", function() sm.zeros(0):max() end },
      { "clamp: expected low <= high, got 2 and 1", function() x:clamp(2, 1) end },
      { "a tensor has no method or field 'softmx'; did you mean 'softmax'?", function() x:softmx() end },
      { "a tensor has no method or field 'view'; here it is x:reshape(2, -1)", function() x:view(6) end },
      { "a tensor has no method or field 'T'; here it is x:transpose()", function() return x.T end },
      { "a tensor has no method or field 'minimum'; it is a function, sm.minimum", function() x:minimum(x) end },
      { "sm has no 'matmul'; it is a method of tensors, x:matmul(…)", function() sm.matmul(x, x) end },
      { "sm has no 'zeros_like'; here it is sm.zeros(x.shape)", function() sm.zeros_like(x) end },
      { "Lua's <, <=, > and >= cannot give a tensor: use x:lt(y), x:le(y), x:gt(y) or x:ge(y)",
        function() return x > 0 end },
      { "sum: expected at least one axis, got the option 'dim'; an axis comes before a table of options",
        function() x:sum { dim = 1 } end },
      { "optim.sgd: unknown option 'learningRate'; did you mean 'lr'? (options: "
        .. "clip_norm, clip_value, groups, lr, momentum, nesterov, weight_decay)",
        function() sm.optim.sgd { learningRate = 0.1 } end },
      { "softmax: unknown option 'dim'; did you mean 'axis'? (options: axis, groups, hard, off, scale, sizes, "
        .. "temperature)", function() x:softmax { dim = -1 } end },
      { "linear: x {2, 3} and the weight {4, 3} do not fit: the last axis of x must be as long as the first of the "
        .. "weight, {in, out}", function() x:linear(sm.zeros(4, 3)) end },
      { "conv2d: images {1, 3, 8, 8} and filters {3, 3, 3, 4}: expected 3 channels, got 8; channels come last",
        function() sm.zeros(1, 3, 8, 8):conv2d(sm.zeros(3, 3, 3, 4)) end },
      { "sm has no 'zeroes'; did you mean 'zeros'?", function() sm.zeroes(1) end },
      { "elements of a tensor cannot be assigned; build a new one, or copy into it with x:copy_(y)",
        function() x[1] = 2 end },
      { "add: argument 2 must be a tensor or a number, got string \"a\"", function() return x + "a" end },
      { "tensor: argument 1 must be a number or a table of numbers, got nil", function() sm.tensor() end },
      { "tensor: expected a list of numbers, got a table with other keys", function() sm.tensor { a = 1 } end },
      { "full: the value must be a number, got nil", function() sm.full { 2 } end },
      { "full: 300.0 does not fit uint8", function() sm.full({ 2 }, 300, "uint8") end },
      { "arange: 256.0 does not fit uint8", function() sm.arange(300, "uint8") end },
      { "arange: argument 2 must be a finite number, got number inf", function() sm.arange(1, math.huge) end },
      { "arange takes first, limit and step, got a fourth, number 4", function() sm.arange(1, 2, 3, 4) end },
      { "size 1 of a shape must be an integer of at least 0, got string \"6\"", function() x:reshape("6") end },
      { "to: expected a dtype, got nil", function() x:to() end },
      { "sum: expected a table of options, got number 2 (options: keepdim)", function() x:sum(1, 2) end },
      { "slice takes 2 arguments, got another argument, number 2", function() x:slice(1, 2, 2) end },
      { "relu takes no arguments, got number 0.1", function() x:relu(0.1) end },
      { "tanh takes no arguments, got number 1", function() x:tanh(1, 5) end },
      { "argmax takes 1 argument, got another argument, boolean true", function() x:argmax(2, true) end },
      { "item takes no arguments, got string \"number\"", function() x[1][1]:item "number" end },
      { "sm.seed takes 1 argument, got another argument, number 2", function() sm.seed(1, 2) end },
      { "sm.full takes 3 arguments, got another argument, boolean true", function() sm.full({ 2 }, 1, nil, true) end },
      { "sm.load takes 1 argument, got another argument, string \"r\"", function() sm.load("x.npy", "r") end },
      { "x.grad must be a tensor or nil, got number", function() x.grad = 5 end },
      { "softmax: size 2 must be an integer of at least 1, got number 1.5",
        function() x:softmax { sizes = { 2, 1.5 } } end },
      { "softmax: option 'sizes' must have at least one size", function() x:softmax { sizes = {} } end },
      { "conv2d: the bias must have shape {2}, got {3}",
        function() sm.zeros(1, 4, 4, 1):conv2d(sm.zeros(3, 3, 1, 2), { bias = sm.zeros(3) }) end },
      { "conv2d: option 'stride' must be an integer from 1 to 2147483647 or {height, width} of such, got number "
        .. "4294967296",
        function() sm.zeros(1, 4, 4, 1):conv2d(sm.zeros(3, 3, 1, 2), { stride = 1 << 32 }) end },
      { "softmax: 6 channels cannot be divided into 4 equal groups (input {5, 6})",
        function() sm.zeros(5, 6):softmax { groups = 4 } end },
      { "softmax: option 'temperature' must be above 0, got 0", function() x:softmax { temperature = 0 } end },
      { "softmax: unknown option 'group'; did you mean 'groups'? (options: axis, groups, hard, off, scale, sizes, "
        .. "temperature)",
        function() x:softmax { group = 2 } end },
      { "softmax: give groups (equal ones) or sizes (uneven ones), not both",
        function() x:softmax { groups = 1, sizes = { 3 } } end },
      { "cross_entropy: logits {2, 3} need labels of the same shape without the last axis, got {3}",
        function() x:cross_entropy(sm.zeros({ 3 }, "uint8")) end },
      { "conv2d: option 'padding' must be 'same', 'valid', an integer of at least 0, {height, width} or {top, left, "
        .. "bottom, right}, got string \"sam\"; did you mean 'same'?",
        function() sm.zeros(1, 4, 4, 1):conv2d(sm.zeros(3, 3, 1, 2), { padding = "sam" }) end },
    }
    for _, case in ipairs(cases) do
      it(case[1], function() assert.equal(case[1], message(case[2])) end)
    end

    it("a dtype for random numbers", function()
      assert.matches("^randn makes float%d+ tensors, got the dtype string \"uint8\"",
        message(function() sm.randn({ 2 }, "uint8") end))
    end)

    it("labels out of range, with position and value", function()
      local text = message(function() x:cross_entropy(sm.tensor({ 0, 3 }, "uint8")) end)
      assert.matches("position 2", text)
      assert.matches("3", text)
    end)

    it("a group of one, and says why", function()
      local text = message(function() x:softmax { groups = 3 } end)
      assert.matches("constant", text)
      assert.same({ 2, 3 }, x:softmax { groups = 3, off = true }.shape)
    end)

    it("a tensor of another type, naming both", function()
      local text = 'exp: argument 1 must be a %s tensor (x:to("%s") converts), got uint8 tensor {1}'
      assert.equal(text:format(real, real),
        message(function() sm.zeros({ 1 }, "uint8"):exp() end))
    end)

    it("more memory than there is, as a Lua error", function()
      assert.matches("out of memory", message(function() sm.zeros(1 << 20, 1 << 20, 1 << 10) end))
    end)

    it("at the user's own line, in tail calls too", function()
      local function tail() return x:relu(1) end
      local _, tail_error = pcall(function() tail() end)
      assert.equal(("tests/lua/tensor_spec.lua:%d"):format(debug.getinfo(tail, "S").linedefined),
        tail_error:match "^(.-:%d+): relu")
      local function last() return sm.full({ 2 }, "x") end
      local _, last_error = pcall(function() last() end)
      assert.equal(("tests/lua/tensor_spec.lua:%d"):format(debug.getinfo(last, "S").linedefined),
        last_error:match "^(.-:%d+): full")
    end)

    it("no method that nobody documents", function()
      assert.matches("has no method", message(function() return x.softmax_options end))
    end)

    it("at the user's own line", function()
      local ok, err = pcall(function() return sm.zeros(2) + sm.zeros(3) end)
      assert.is_false(ok)
      assert.matches("^tests/lua/tensor_spec%.lua:%d+: add: shapes", err)
    end)
  end)

  it("does not let garbage pile up", function()
    collectgarbage()
    collectgarbage()
    local before = runtime.tensor.memory()
    for _ = 1, 1000 do sm.zeros(512, 512) end
    local live = runtime.tensor.memory()
    assert.is_true(live - before < 300 * 2 ^ 20, ("%d MiB live"):format((live - before) // 2 ^ 20))
  end)
end)
