--- Which public functions the cases of tests/fault/cases.lua never call.
local M = {}

-- The other data sets that have a name are read as the one that comes with the source.
local ELSEWHERE <const> = { ["sm.data.mnist"] = true, ["sm.data.fashion"] = true }

local METHODS <const> = [[abs accuracy add argmax avgpool2d backward clamp clone conv2d
  conv2d_transpose copy_ cross_entropy detach div dropout exp item linear log matmul max maxpool2d mean mul neg pow relu
  requires_grad reshape select sigmoid slice softmax softplus sqrt sub sum tanh to totable tracks transpose]]

function M.public()
  local sm, canvas = require "sm", require "sm.canvas"
  local found = {}
  local function add(prefix, functions, names)
    for name, value in pairs(functions) do
      local wanted = not names or names[name]
      if type(value) == "function" and wanted and not ELSEWHERE[prefix .. name] then found[value] = prefix .. name end
    end
  end
  add("sm.", sm)
  for _, room in ipairs { "nn", "optim", "data", "view" } do add("sm." .. room .. ".", sm[room]) end
  add("sm.nn.init.", sm.nn.init)
  local x = sm.zeros(1)
  for name in METHODS:gmatch "[%w_]+" do found[x[name]] = "x:" .. name end
  for _, record in ipairs(require "sm.ops.records") do
    if not record.call then found[x[record.name]] = "x:" .. record.name end
  end
  local layer = getmetatable(getmetatable(sm.nn.relu()).__index).__index
  add("model:", layer, { build = true, activations = true, parameters = true, buffers = true, train = true,
    eval = true, layer = true, load = true, freeze = true, summary = true })
  add("opt:", getmetatable(sm.optim.sgd { lr = 1 }).__index, { add = true, parameters = true, zero_grad = true,
    rate = true, step = true, watch = true, telemetry = true, state = true, restore = true })
  add("canvas.", canvas)
  local picture = canvas.new(1, 1, "#ffffff")
  for _, name in ipairs { "size", "rect", "line", "text", "image", "save" } do
    found[picture[name]] = "picture:" .. name
  end
  return found
end

--- The names of those that no case calls, in alphabetical order.
function M.missed(cases)
  local left = M.public()
  debug.sethook(function() left[debug.getinfo(2, "f").func] = nil end, "call")
  for _, case in ipairs(cases) do
    if case.before then case.before() end
    case.run()
  end
  debug.sethook()
  local names = {}
  for _, name in pairs(left) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return M
