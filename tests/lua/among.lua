--- Several ranks in one process, as coroutines: what they make together is what sm.collective gives real ones. Every
--- call waits until all ranks have come to it, with the same call; what one rank has of the library's state, others do
--- not see.
local runtime = require "sm.runtime"
local random = require "sm.random"
local ranks = require "sm.ranks"

local M = {}

local T <const> = runtime.tensor

--- The sum of values, one of each rank, as the tree ((0 + 1) + (2 + 3)).
local function tree(values, add)
  while #values > 1 do
    local halved = {}
    for i = 1, #values, 2 do halved[#halved + 1] = add(values[i], values[i + 1]) end
    values = halved
  end
  return values[1]
end

local function plus(a, b) return a + b end

local answers <const> = {}

--- Lists of tensors, one list of each rank.
function answers.sums(given)
  for i = 1, #given[1] do
    local values = {}
    for rank, list in ipairs(given) do values[rank] = list[i] end
    local sum = T.to(tree(values, runtime.pointwise.add)) -- of one rank it is that rank's
    for _, list in ipairs(given) do T.copy_(list[i], sum) end
  end
end

function answers.sum_doubles(given)
  local sums = {}
  for i = 1, #given[1] do
    local values = {}
    for rank, list in ipairs(given) do values[rank] = list[i] end
    sums[i] = tree(values, plus)
  end
  return sums
end

function answers.broadcast(given) return given[1][1] end
--- What a rank has: its collective, as sm.collective.
local function collective_of(rank, count)
  local queue = {} -- sums that were begun
  local function ask(kind, value)
    if #queue > 0 then
      local begun = queue
      queue = {}
      coroutine.yield("sums", begun)
    end
    if kind then return coroutine.yield(kind, value) end
  end
  local collective = { rank = rank, ranks = count }
  function collective.sum(x)
    queue[#queue + 1] = x
    return x
  end
  function collective.wait() ask() end
  function collective.sum_doubles(list) return ask("sum_doubles", list) end
  function collective.broadcast(text) return ask("broadcast", { text }) end
  return collective
end

--- Calls body(collective, rank) for each of `count` ranks, together. What is random begins alike.
--- @return table array of what each has returned
function M.run(count, body)
  local members, results, start = {}, {}, random.state()
  for i = 1, count do
    local collective = collective_of(i - 1, count)
    members[i] = { random = start, thread = coroutine.create(function() return body(collective, i - 1) end) }
  end
  local function resume(member, ...)
    random.restore(member.random)
    ranks.switch(member.step)
    local ok, kind, value = coroutine.resume(member.thread, ...)
    member.random, member.step = random.state(), ranks.switch(nil)
    if not ok then error(debug.traceback(member.thread, tostring(kind)), 0) end
    return kind, value
  end
  local answer
  while true do
    local kinds, given = {}, {}
    for i, member in ipairs(members) do
      kinds[i], given[i] = resume(member, answer)
      if coroutine.status(member.thread) == "dead" then
        results[i], kinds[i] = kinds[i], "ended"
      end
      assert(kinds[i] == kinds[1], ("rank %d asks for %s, rank 0 for %s"):format(i - 1, kinds[i], kinds[1]))
    end
    if kinds[1] == "ended" then return results end
    answer = answers[kinds[1]](given)
  end
end

return M
