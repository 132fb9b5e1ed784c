--- What all ranks of one run make of their numbers together. Each rank makes the same calls in the same order; what is
--- asked for is begun in that order, too.
-- @module sm.collective
local problem = require "sm.problem"
local runtime = require "sm.runtime"

local M = {}

local ring <const> = runtime.ring
local pack <const>, unpack <const> = string.pack, string.unpack
local most_numbers <const> = 100 -- that are packed at once

local function sure(value, words)
  if words then error(problem.new("ranks", words), 0) end
  return value
end

--- Joins the other ranks.
--- @param descriptor integer of the memory that is shared with what talks to them
--- @return table collective {rank=(from 0), ranks=} and functions:
---   sum(tensor) → handle: begins to replace its numbers by the sums over all ranks; wait(handle) waits for that.
---   sum_doubles(list) → list of sums in double. broadcast(text or nil) → the text of rank 0.
---   These two wait for all sums that were begun. A sum over ranks is a tree, ((0 + 1) + (2 + 3)), of numbers that
---   count as 0 where they are subnormal; what is summed in double may be subnormal.
---   Each raises a problem of the kind "ranks" once a rank has ended.
function M.join(descriptor)
  local rank, ranks = ring.attach(descriptor)
  local collective = { rank = rank, ranks = ranks }
  local waiting, first, last = {}, 1, 0 -- sums that were begun and not taken

  --- Takes what is done of the oldest sum, once there is some.
  local function advance()
    ring.flush()
    sure(nil, ring.await())
    local oldest <const> = waiting[first]
    local taken, all = ring.take(oldest.tensor, oldest.taken)
    oldest.taken = taken
    if not all then return end
    oldest.tensor, waiting[first] = nil, nil
    first = first + 1
  end

  function collective.sum(tensor)
    local handle, put, all = { tensor = tensor, taken = 0, position = 0 }, ring.put(tensor, 0)
    if all and put == 0 then return handle end -- it has no numbers
    last = last + 1
    waiting[last], handle.position = handle, last
    while not all do
      advance() -- no slot is free
      put, all = ring.put(tensor, put)
    end
    return handle
  end

  function collective.wait(handle)
    while first <= handle.position do advance() end
  end

  local function wait_for_all()
    while first <= last do advance() end
  end

  function collective.sum_doubles(list)
    wait_for_all()
    local sums = {}
    for from = 1, #list, most_numbers do
      local to <const> = math.min(#list, from + most_numbers - 1)
      local format <const> = "<" .. ("d"):rep(to - from + 1)
      local bytes = sure(ring.exchange("sum", pack(format, table.unpack(list, from, to))))
      table.move({ unpack(format, bytes) }, 1, to - from + 1, from, sums)
    end
    return sums
  end

  function collective.broadcast(text)
    wait_for_all()
    local length <const> = unpack("<i8", sure(ring.exchange("first", pack("<i8", text and #text or -1))))
    if length < 0 then return nil end
    local pieces = {}
    for from = 1, length, ring.bytes do
      local bytes <const> = math.min(ring.bytes, length - from + 1)
      local piece = rank == 0 and text:sub(from, from + bytes - 1) or ("\0"):rep(bytes)
      pieces[#pieces + 1] = sure(ring.exchange("first", piece))
    end
    return table.concat(pieces)
  end

  return collective
end

return M
