--- How layers are applied: errors that say where, and who looks on.
---
--- Who looks on is a pass: a table with the `paths` of a model's layers, which is there for the time of one call, in
--- its coroutine. Every layer of the model tells it, also one that a layer written in Lua calls as it likes. A pass
--- has, each of them optional,
---   before(layer, inputs), after(layer, inputs, outputs): inputs and outputs as table.pack gives them;
---   instead(layer) → outputs, packed, or nil: what the layer gives without being applied;
---   batch: what to call the size of the batch in messages.
local autograd = require "sm.autograd"
local check = require "sm.check"
local problem = require "sm.problem"
local runtime = require "sm.runtime"
local shapes = require "sm.shapes"

local M = {}

local is_tensor = runtime.tensor.is_tensor
local pack, unpack <const>, running <const> = table.pack, table.unpack, coroutine.running

local passes, any = setmetatable({}, { __mode = "k" }), false -- coroutine → its pass

--- The pass that looks on at a layer; nil where none does.
function M.pass(layer)
  if not any then return nil end
  local pass = passes[running()]
  return pass and pass.paths[layer] and pass or nil
end

--- Calls f(...) while a pass looks on, and returns its results.
function M.watched(pass, f, ...)
  local thread = running()
  local before = passes[thread]
  local function restore()
    passes[thread] = before
    any = next(passes) ~= nil
  end
  local _ <close> = setmetatable({}, { __close = restore })
  passes[thread], any = pass, true
  return autograd.restoring(restore, f, ...)
end

-- What a message calls a layer: its path, or its kind where it is a whole model.
local function label(layer)
  return layer.path ~= "" and layer.path or layer.kind
end

local explained -- the last error that was made here: the layers around it have nothing to add

--- Raises what a layer's computation raised, with the layer's path, kind and input, and the line that declared the
--- layer. In a function of the user's (`own_line`) the line of the error itself says more, and is kept.
--- @param inputs table as table.pack gives it
function M.explain(layer, inputs, met)
  local kind = problem.kind(met)
  if type(met) ~= "string" and not kind or kind == "interrupted" or met == explained then error(met, 0) end
  local message = tostring(met)
  local line, text = message:match("^([^\n]-:%d+): (.*)$")
  local pass = M.pass(layer)
  explained = problem.reworded(met, ("%s: in layer '%s' (%s) given %s: %s"):format(layer.own_line and line
    or layer.where, label(layer), layer.kind, shapes.describe(inputs, pass and pass.batch), text or message))
  error(explained, 0)
end

--- Raises an error about a layer and its inputs, in the form of every error inside a layer.
function M.fail(layer, inputs, format, ...)
  M.explain(layer, inputs, format:format(...))
end

-- What follows a protected call: outputs are tensors, or tables of tensors; of several, further ones may be nil.
local function settled(layer, one, inputs, ok, ...)
  if not ok then M.explain(layer, one and pack(inputs) or inputs, (...)) end
  local fine = is_tensor((...)) or shapes.is((...))
  for i = 2, select("#", ...) do
    local further = select(i, ...)
    fine = fine and (further == nil or shapes.is(further))
  end
  if not fine then
    M.fail(layer, one and pack(inputs) or inputs, "%s must return a tensor or a table of tensors, got %s",
      layer.computing, shapes.describe(pack(...)))
  end
  return ...
end

--- f(layer, ...), whose errors are explained as the layer's.
function M.attempt(layer, f, ...)
  local one = select("#", ...) == 1
  return settled(layer, one, one and (...) or pack(...), pcall(f, layer, ...))
end

-- Raises where a layer is given more than it takes (nil is nothing), or one of the library's no tensor.
local function refuse(layer, inputs)
  if not layer.own_line and not is_tensor(inputs[1]) then
    M.fail(layer, inputs, "it takes a tensor, got %s", check.describe(inputs[1]))
  end
  for i = layer.takes + 1, inputs.n do
    if inputs[i] ~= nil then
      M.fail(layer, inputs, "it takes %d input%s, got %d", layer.takes, layer.takes == 1 and "" or "s", inputs.n)
    end
  end
end

-- y, … = layer(x, …), where nobody looks on.
local function compute(layer, ...)
  if layer.container then return layer:forward(...) end -- what is in it explains itself
  return M.attempt(layer, layer.forward, ...)
end

--- y, … = layer(x, …) for what is a batch already, and a layer that is built.
function M.apply(layer, ...)
  local pass = M.pass(layer)
  local known = pass and pass.instead and pass.instead(layer)
  if known then return unpack(known, 1, known.n) end
  if not layer.container and (select("#", ...) > layer.takes or not is_tensor((...))) then refuse(layer, pack(...)) end
  if not pass then return compute(layer, ...) end
  local inputs = pack(...)
  if pass.before then pass.before(layer, inputs) end
  local outputs = pack(compute(layer, ...))
  if pass.after then pass.after(layer, inputs, outputs) end
  return unpack(outputs, 1, outputs.n)
end

return M
