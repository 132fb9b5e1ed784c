-- Which size should a filter have? All of them: a block looks at its input through windows of 1, 3 and 5 pixels and
-- through a pool, side by side, and 1 x 1 convolutions keep the channels, and so the cost, few. blocks=plain has 3 x 3
-- filters alone, as many.
-- Source: C. Szegedy et al. (2014), "Going Deeper with Convolutions".
--   smrun experiments/ideas/inception.lua blocks=inception,plain
-- Reached, in 600 steps: a test accuracy of 96.0 %. The paper reports that the right one of 1,000 classes is not among
-- the first five for 6.67 % of ImageNet.
local sm = require "sm"
local nn, view = sm.nn, sm.view

local p = sm.params {
  data = "mnist_mini", blocks = "inception", width = 8, seed = 1, steps = 600, batch = 50, lr = 3e-3,
}

local function conv(filters, kernel) return nn.sequential { nn.conv2d { filters, kernel = kernel }, nn.relu() } end

local block = ({
  inception = function(n)
    return nn.concat {
      conv(2 * n, 1),
      nn.sequential { conv(n, 1), conv(2 * n, 3) },
      nn.sequential { conv(n // 2, 1), conv(n, 5) },
      nn.sequential { nn.maxpool2d { 3, stride = 1, padding = "same" }, conv(n, 1) },
    }
  end,
  plain = function(n) return conv(6 * n, 3) end,
})[p.blocks] or error("blocks must be inception or plain, got " .. p.blocks)

local function misread(at)
  local x, labels = at.data.validation:batches(400)()
  local said, names = at.model(x):predict(), {}
  local _, first = said:ne(labels):to("float32"):topk(10)
  for i, place in ipairs(first:totable()) do
    names[i] = ("%d as %d"):format(labels[place]:item(), said[place]:item())
  end
  return x:index_select(1, first), names
end

return sm.experiment {
  data      = sm.data[p.data] { validation = 5000 },
  model     = nn.sequential {
    conv(2 * p.width, 3), nn.maxpool2d { 2 },
    block(p.width), block(p.width), nn.maxpool2d { 2 },
    block(2 * p.width), block(2 * p.width), nn.global_avgpool(), nn.dropout { 0.4 }, nn.linear { 10 },
  },
  loss      = "cross_entropy",
  optimizer = sm.optim.adam { lr = sm.optim.cosine { lr = p.lr, steps = p.steps } },
  schedule  = { steps = p.steps, batch = p.batch },
  views     = { view.images(misread, { columns = 10, title = "Misread first, and as what" }) },
  seed      = p.seed,
}
