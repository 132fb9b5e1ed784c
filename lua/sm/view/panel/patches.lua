--- What each channel looks for, in pixels.
-- @module sm.view.panel.patches
local choice = require "sm.view.panel.choice"
local colour = require "sm.view.colour"
local page = require "sm.view.page"
local pictures = require "sm.view.pictures"
local values = require "sm.view.values"
local words = require "sm.view.words"

local GROUPS, CHANNELS = 32, 160 -- at most
local ACROSS = 16                -- pictures in a row of a group
local FEW = 4                    -- groups that have room for large pictures
local LARGE, SMALL = 70, 54      -- pixels of a picture, roughly

--- The patches of the groups and channels that there is room for.
local function chosen(numbers)
  local groups, all, peak = choice.evenly(#numbers.groups, GROUPS), values(numbers.patches, numbers.sizes)
  local first, sizes, labels, kept, shortened = { 1 }, {}, {}, {}, false
  for g, size in ipairs(numbers.sizes) do first[g + 1] = first[g] + size end
  for i, g in ipairs(groups) do
    sizes[i], labels[i] = 0, "group " .. g
    for _, option in ipairs(choice.frequent(numbers.groups[g], math.max(2, CHANNELS // #groups))) do
      if option <= numbers.sizes[g] then -- "none" looks for nothing
        kept[#kept + 1], sizes[i] = all[first[g] + option - 1], sizes[i] + 1
      end
    end
    shortened = shortened or sizes[i] < numbers.sizes[g]
  end
  return kept, sizes, labels, peak, shortened
end

--- @param numbers see sm.view.consequence
-- @return a panel
return function(numbers)
  local kept, sizes, labels, peak, shortened = chosen(numbers)
  local side = #numbers.groups <= FEW and LARGE or SMALL
  local map = #kept[1].shape == 2 and colour.diverging or colour.grey
  local field = numbers.field
  local patch = field.whole and "the images"
    or ("the %d×%d pixels that a location sees"):format(field.size[1], field.size[2])
  local scale = page.legend(map, { words.figure(-peak), "0", words.figure(peak) },
    "brightness, less the mean of the group")
  return page.panel {
    heading = "What each channel looks for",
    caption = "The mean of " .. patch .. ", weighted by how probable the channel is there, less the mean of "
      .. "its group. Red: brighter than for the others of the group; blue: darker. The channels of a group "
      .. "stand in order."
      .. choice.note(#sizes, #numbers.groups, "group")
      .. (shortened and " Of larger groups only the most frequent winners are shown." or ""),
    content = page.column({
      pictures {
        pictures = kept, sizes = sizes, framed = true, labels = labels, columns = ACROSS,
        side = side, map = map,
      },
      scale,
    }, 20),
  }
end
