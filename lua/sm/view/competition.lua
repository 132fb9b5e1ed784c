--- Groups of channels of which one wins at each location.
--
-- A grouping is {order= channel at each place (1-based), sizes= places of each group, off= whether each group
-- has the option "none", temperature=, shuffled= whether the order is not that of the layer}. The options of
-- all groups stand one after the other: each group's channels, then its "none".
-- @module sm.view.competition
local runtime = require "sm.runtime"
local tensor = require "sm.tensor"

local T, K = runtime.tensor, runtime.math
local M = {}

local DEALING <const> = 100 -- a random stream beyond those of sm.random

--- The grouping of a softmax layer.
function M.of_softmax(softmax, channels)
  local order = {}
  for channel = 1, channels do order[channel] = channel end
  local options, sizes = softmax.options, softmax:sizes(channels)
  return { order = order, sizes = sizes, off = options.off, temperature = softmax:temperature() }
end

--- Channels dealt at random into equal groups, the same for the same seed; no random stream of the run is
-- touched.
function M.dealt(channels, groups, temperature, seed)
  local order, sizes = T.totable(runtime.random.permutation(channels, seed, DEALING, 0)), {}
  for place = 1, channels do order[place] = order[place] + 1 end
  for group = 1, groups do sizes[group] = channels // groups end
  for group = 0, groups - 1 do -- within a group, channels in order
    local size = channels // groups
    local members = table.move(order, group * size + 1, (group + 1) * size, 1, {})
    table.sort(members)
    table.move(members, 1, size, group * size + 1, order)
  end
  return { order = order, sizes = sizes, off = false, temperature = temperature, shuffled = true }
end

--- The first option and the number of options of each group: {{first=, count=, channels= their numbers}, …},
-- and how many options there are in all.
function M.options(grouping)
  local options, first, place = {}, 1, 0
  for group, size in ipairs(grouping.sizes) do
    local count = size + (grouping.off and 1 or 0)
    local channels = table.move(grouping.order, place + 1, place + size, 1, {})
    options[group] = { first = first, count = count, channels = channels }
    first, place = first + count, place + size
  end
  return options, first - 1
end

--- The probability of each place's channel within its group.
-- @param logits real {…, channels}
-- @return real {locations, channels}, in the grouping's order
function M.probabilities(logits, grouping)
  local channels = #grouping.order
  local rows = logits:reshape(-1, channels)
  if grouping.shuffled then
    local index = {}
    for place, channel in ipairs(grouping.order) do index[place] = channel - 1 end
    rows = T.gather(rows:transpose(), tensor.tensor(index, "int32"), 0, channels):transpose()
  end
  return rows:softmax { sizes = grouping.sizes, temperature = grouping.temperature, off = grouping.off }
end

--- The probabilities of all options, "none" included.
-- @param p from probabilities()
-- @return real {options, locations}
function M.by_option(p, grouping)
  local rows = p:transpose()
  if not grouping.off then return rows end
  local groups, total = M.options(grouping)
  local shape = { total, #p }
  local out, place = tensor.zeros(shape), 1
  for group, size in ipairs(grouping.sizes) do
    local block = rows:slice(place, place + size - 1)
    local none = (1 - block:sum(1)):clamp(0, 1):reshape(1, #p)
    local first = groups[group].first - 1
    out = out + T.place(block, shape, first) + T.place(none, shape, first + size)
    place = place + size
  end
  return out
end

--- Who wins one group.
-- @param rows from by_option()
-- @param group one of options()
-- @return the winner's probability {locations}; its position in the group {locations}, 0-based int32
function M.winners(rows, group)
  return K.max(rows:slice(group.first, group.first + group.count - 1), 1)
end

--- The identity matrix {size, size}: its rows, gathered, say which of `size` something is.
function M.identity(size)
  -- {size, size + 1} with ones in the first column; read in rows of `size`, they lie on the diagonal.
  local wide = T.place(tensor.ones(1, size), { size + 1, size }, 0):transpose()
  return wide:reshape(size * (size + 1)):slice(1, size * size):reshape(size, size)
end

--- Marks the winners of every group.
-- @param rows from by_option()
-- @param identity of as many rows as there are options
-- @return real {locations, options}, 1 for the winners
function M.marked(rows, groups, identity)
  local count = rows.shape[2]
  local marks
  for _, group in ipairs(groups) do
    local _, position = M.winners(rows, group)
    local own = T.gather(identity:slice(group.first, group.first + group.count - 1), position, 0, count)
    marks = marks and marks + own or own
  end
  return marks
end

--- The matrix {channels, channels} that sets the channels of one group to their mean: y · matrix.
-- @param channels numbers of the group's members
function M.levelling(channels, identity)
  local member = {}
  for channel = 1, #identity do member[channel] = 0 end
  for _, channel in ipairs(channels) do member[channel] = 1 end
  member = tensor.tensor(member)
  return identity * (1 - member) + member:reshape(#identity, 1) * member / #channels
end

return M
