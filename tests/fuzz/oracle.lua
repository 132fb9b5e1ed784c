--- What must hold whatever the interface is called with.
local Hostile = require "hostile"
local problem = require "sm.problem"
local runtime = require "sm.runtime"
local sm = require "sm"

local Oracle = {}

local is_tensor, checksum = runtime.tensor.is_tensor, runtime.io.checksum

-- Each tensor among values, also in tables, calls visit(tensor).
local function each_tensor(values, visit, depth)
  for _, value in next, values do
    if is_tensor(value) then
      visit(value)
    elseif type(value) == "table" and depth > 0 and not getmetatable(value) then
      each_tensor(value, visit, depth - 1)
    end
  end
end

local function print_of(x)
  local shape = {}
  for i, size in ipairs(x.shape) do shape[i] = tostring(size) end
  return table.concat({ x.dtype, table.concat(shape, ","), checksum(x) }, " ")
end

--- What tensors hold, to compare with later; every byte of theirs is read.
function Oracle.prints(values)
  local prints = {}
  each_tensor(values, function(x)
    local alive, text = pcall(print_of, x)
    if alive then prints[x] = text end
  end, 2)
  return prints
end

--- The first tensor that is not as it was.
function Oracle.changed(prints)
  for x, before in next, prints do
    local alive, now = pcall(print_of, x)
    if not alive or now ~= before then return x, before, alive and now or "released" end
  end
end

local KINDS <const> = { memory = true, interrupted = true, usage = true, ["not finite"] = true, unmoved = true }

local LEAKS <const> = {
  { "a position inside the library", "lua/sm/[%w_/]*%.lua:%d+" },
  { "an error of the library's own code", "attempt to %l+ a[n]? %l+ value" },
  { "an error of the library's own code", "attempt to compare" },
  { "an error of the library's own code", "'for' %l+ value must be" },
  { "an error of the library's own code", "bad argument #%d+ to '[%w_.]+' %(" },
  { "an error of the library's own code", "number has no integer representation" },
  { "an error of the library's own code", "invalid [ovk]%l+ " },
  { "a C address", "0x%d*[a-f]%x%x%x" },
  { "a control code", "[\0-\8\11-\31\127]" },
}

--- What is wrong with an error message, or nil.
--- @param given string the text of the arguments, whose own peculiarities may be quoted
--- @param internal boolean whether the function is none of the public ones, whose messages are for the library itself
function Oracle.complaint(message, given, internal)
  local kind = problem.kind(message)
  if kind then
    if not internal and not KINDS[kind] then return "an error of kind " .. tostring(kind) end
  elseif type(message) ~= "string" and not internal then
    if message == nil or message == Hostile.RAISED then return nil end
    return "an error that is no string but a " .. type(message)
  end
  message = tostring(message)
  if message:find "stack overflow" or message:find "^not enough memory" then return nil end
  if message:find "tests/fuzz/%l+%.lua:%d+: attempt to " then return nil end -- the caller's own mistake
  if message:find "^attempt to index a%l* %l+ value$" then return nil end    -- the same, by ipairs
  for _, leak in ipairs(internal and {} or LEAKS) do
    local found = message:match(leak[2])
    if found and not given:find(found, 1, true) then return leak[1] end
  end
  if #message > 20000 and not internal then return ("a message of %d bytes"):format(#message) end
end

--- A computation that touches what calls may have upset: streams, the tape, kernels. Its figures as text.
function Oracle.canary()
  sm.seed(7)
  local x, w = sm.randn(3, 4), sm.randn(4, 2):requires_grad()
  local y = x:matmul(w):tanh():softmax()
  local loss = (y * y):sum()
  loss:backward()
  local filters = sm.rand(3, 3, 1, 2)
  return table.concat({ checksum(y), checksum(w.grad), checksum(sm.rand(1, 5, 5, 1):conv2d(filters)),
    tostring(loss:tracks()), tostring(sm.tensor { 1, 2 }) }, " ")
end

return Oracle
