--- The filters of a convolution over pixels, as one sheet: `view.filters "conv1"`.
--
-- One symmetric scale serves the whole sheet, and zero is its middle. A softmax over a group of channels is
-- blind to what its filters have in common: adding the same numbers to each changes nothing. So where a softmax
-- follows the convolution, the mean over the group's filters is taken off before drawing, and each group has a
-- frame.
-- @module sm.view.filters
local check = require "sm.check"
local colour = require "sm.view.colour"
local fail = require "sm.fail"
local sheet = require "sm.view.sheet"

local CHANNELS = { [1] = "grey", [3] = "rgb" } -- input channels that are a picture

local View = {}
View.__index = View

--- The layer that is applied to the output of `layer` in its sequential, or nil.
local function following(layer)
  local layers = layer.parent and layer.parent.layers or {}
  for position, other in ipairs(layers) do
    if other == layer then return layers[position + 1] end
  end
end

--- How the filters are grouped.
-- @return sizes of the groups; whether they are groups of a softmax; whether their mean has no effect. It has
-- one where the softmax has an implicit option of logit 0 (`off`), which the others are measured against.
local function grouping(layer)
  local filters = layer.weight.shape[4]
  local after = following(layer)
  if not after or after.kind ~= "softmax" then return { filters }, false, false end
  return after:sizes(filters), true, not after.options.off
end

--- The numbers that are drawn: filters of a convolution on one symmetric scale.
-- @param weight real {k, k, in, out}
-- @param sizes array of group sizes (their sum is out), whose means are removed; nil: nothing is removed
-- @return an array of out tensors {k, k} (one input channel) or {k, k, in}; the largest absolute value is 1
-- @return what 1 stands for, in units of the weights; 1 when every weight is 0
local function values(weight, sizes)
  local height, width, channels, filters = table.unpack(weight.shape)
  local rows = weight:detach():reshape(height * width * channels, filters):transpose()
  local groups, first, peak = {}, 1, 0
  for index, size in ipairs(sizes or { filters }) do
    local group = rows:slice(first, first + size - 1)
    if sizes then group = group - group:mean(1) end
    peak = math.max(peak, group:abs():max():item())
    groups[index], first = group, first + size
  end
  if peak == 0 then peak = 1 end
  local shape = channels == 1 and { height, width } or { height, width, channels }
  local pictures = {}
  for _, group in ipairs(groups) do
    group = group / peak
    for i = 1, #group do pictures[#pictures + 1] = group[i]:reshape(shape) end
  end
  return pictures, peak
end

--- Raises an error that begins with the line where the view was declared.
function View:fail(format, ...)
  error(("%s: view.filters: "):format(self.where) .. format:format(...), 0)
end

--- Raises unless the model has the layer, and it is a convolution whose input is a picture.
-- @param model built
-- @return the layer
function View:check(model)
  local found, layer = pcall(model.layer, model, self.path)
  if not found then self:fail("%s", (tostring(layer):gsub("^[^\n]-:%d+: ", ""))) end
  if layer.kind ~= "conv2d" then
    self:fail("layer '%s' is a %s; a conv2d layer has filters to draw", self.path, layer.kind)
  elseif not layer.weight then
    self:fail("layer '%s' has no weights yet; build the model first", self.path)
  end
  local channels = layer.weight.shape[3]
  if not CHANNELS[channels] then
    self:fail("the filters of layer '%s' have %d input channels; filters are drawn over 1 (grey) or 3 (rgb)",
      self.path, channels)
  end
  return layer
end

local function thousands(n)
  local text = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

local function about_groups(sizes, framed)
  if not framed then return "" end
  if #sizes == 1 then return ", one softmax over all" end
  for _, size in ipairs(sizes) do
    if size ~= sizes[1] then return (", softmax over groups of %s"):format(table.concat(sizes, ", ")) end
  end
  return (", softmax over %d groups of %d"):format(#sizes, sizes[1])
end

local function about_moment(moment)
  local words = {}
  if moment.title then words[1] = moment.title end
  words[#words + 1] = "step " .. thousands(moment.step)
  if moment.validation_accuracy then
    words[#words + 1] = ("validation accuracy %.2f%%"):format(100 * moment.validation_accuracy)
  end
  return table.concat(words, "  ·  ")
end

--- Writes the sheet.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=}
function View:draw(model, path, moment)
  local layer = self:check(model)
  local sizes, framed, centred = grouping(layer)
  local pictures, peak = values(layer.weight, centred and sizes or nil)
  local height, width, channels, filters = table.unpack(layer.weight.shape)
  local grey = channels == 1
  local removed = not centred and "" or #sizes == 1 and ", less the mean of all filters"
    or ", less the mean of its group"
  sheet.draw(path, {
    pictures = pictures, peak = peak, sizes = sizes, framed = framed, columns = self.columns,
    map = grey and colour.diverging or colour.grey,
    name = self.path,
    about = ("%d filters of %d×%d%s%s"):format(filters, height, width, grey and "" or " rgb",
      about_groups(sizes, framed)),
    moment = about_moment(moment),
    legend = (grey and "weight" or "weight of each colour") .. removed,
  })
end

--- "file.lua:9", the user's line that is now running.
local function user_line()
  local _, message = pcall(fail, "")
  return message:match "^(.+:%d+): $" or "?"
end

--- Declares a sheet of the filters of one convolution.
-- @param given the layer's path, or {path, columns= filters in a row of a group (chosen when absent)}
-- @return a view named "filters-PATH"
local function filters(_, given)
  if type(given) ~= "table" then given = { given } end
  local options = check.options("view.filters", given, {
    { type = "string", required = true },
    columns = { type = "integer", min = 1 },
  })
  return setmetatable({
    path = options[1], columns = options.columns, name = "filters-" .. options[1], where = user_line(),
  }, View)
end

return setmetatable({ values = values }, { __call = filters })
