--- The filters of a convolution as one sheet: `view.filters "conv1"`.
--
-- Over pixels the weights themselves are drawn. One symmetric scale serves the whole sheet, and zero is its
-- middle. A softmax over a group of channels is blind to what its filters have in common: adding the same
-- numbers to each changes nothing. So where a softmax follows the convolution, the mean over the group's
-- filters is taken off before drawing, and each group has a frame.
--
-- The weights of a deeper convolution are over channels, not pixels. There each filter is shown by the mean
-- of the image patches that it sees, weighted by its activation, less the mean of its group.
-- @module sm.view.filters
local chain = require "sm.view.chain"
local check = require "sm.check"
local colour = require "sm.view.colour"
local declaration = require "sm.view.declaration"
local field = require "sm.view.field"
local samples = require "sm.view.sample"
local values = require "sm.view.values"
local words = require "sm.view.words"

local CHANNELS = { [1] = "grey", [3] = "rgb" } -- channels that are a picture
local ACTIVATIONS = { softmax = true, relu = true, sigmoid = true, tanh = true }
local PASSED_OVER = { batchnorm = true }

local View = declaration.class "view.filters"

--- How the filters are grouped.
-- @return sizes of the groups; whether they are groups of a softmax; whether their mean has no effect. It has
-- one where the softmax has an implicit option of logit 0 (`off`), which the others are measured against.
local function grouping(layer)
  local filters = layer.weight.shape[4]
  local after = chain.following(layer)
  if not after or after.kind ~= "softmax" then return { filters }, false, false end
  return after:sizes(filters), true, not after.options.off
end

local function over_pixels(layer)
  return CHANNELS[layer.weight.shape[3]] ~= nil
end

--- Raises unless the model has the layer, and its filters can be shown as pictures.
-- @param model built
-- @param data the data set, from which the images for a deeper convolution are taken
-- @return the layer
function View:check(model, data)
  local layer = self:layer(model)
  if layer.kind ~= "conv2d" then
    self:fail("layer '%s' is a %s; a conv2d layer has filters to draw", self.path, layer.kind)
  end
  local channels = layer.weight.shape[3]
  if over_pixels(layer) then return layer end
  local pictures = #model.input_shape == 3 and CHANNELS[model.input_shape[3]]
  if not pictures or chain.up_to(layer)[1] == layer then
    self:fail("the filters of layer '%s' have %d input channels; filters are drawn over 1 (grey) or 3 (rgb)",
      self.path, channels)
  elseif not data then
    self:fail("the filters of layer '%s' are over %d channels; to show them by the image patches that they "
      .. "see, the data set is needed, and none was given", self.path, channels)
  end
  return layer
end

--- The mean patch that each filter sees, weighted by its activation (where that is negative: 0).
local function mean_patches(model, layer, sample)
  local after = chain.following(layer, PASSED_OVER)
  local source = after and ACTIVATIONS[after.kind] and after or layer
  local mean = field.mean(layer, layer.weight.shape[4])
  samples.quietly(model, function()
    for x in samples.batches(sample) do mean:add(chain.watch(model, source, x).output:relu(), x) end
  end)
  return mean:result()
end

local function about_groups(sizes, framed)
  return framed and ", softmax " .. words.groups(sizes) or ""
end

local function removed_text(sizes)
  return #sizes == 1 and ", less the mean of all filters" or ", less the mean of its group"
end

--- What is drawn of filters over pixels.
local function weights_sheet(layer)
  local sizes, framed, centred = grouping(layer)
  local pictures, peak = values(layer.weight, centred and sizes or nil)
  local height, width, channels, filters = table.unpack(layer.weight.shape)
  local grey = channels == 1
  return {
    pictures = pictures, peak = peak, sizes = sizes, framed = framed,
    map = grey and colour.diverging or colour.grey,
    about = ("%d filters of %d×%d%s%s"):format(filters, height, width, grey and "" or " rgb",
      about_groups(sizes, framed)),
    legend = (grey and "weight" or "weight of each colour") .. (centred and removed_text(sizes) or ""),
    lines = {},
  }
end

--- What is drawn of a deeper convolution's filters.
local function patches_sheet(model, layer, sample)
  local sizes, framed = grouping(layer)
  local pictures, peak = values(mean_patches(model, layer, sample), sizes)
  local rows, columns = table.unpack(field.of(layer).size)
  return {
    pictures = pictures, peak = peak, sizes = sizes, framed = framed,
    map = #pictures[1].shape == 2 and colour.diverging or colour.grey,
    about = ("%d filters, each by the %d×%d pixels that it sees%s"):format(#pictures, rows, columns,
      about_groups(sizes, framed)),
    legend = "mean brightness where the filter is active" .. removed_text(sizes),
    lines = { ("Mean of the patches of the first %s %s images, weighted by the filter's activation"):format(
      words.thousands(sample.size), sample.name) },
  }
end

--- Writes the sheet.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=}
function View:draw(model, path, moment)
  local layer = self:check(model, moment.data)
  local sheet = over_pixels(layer) and weights_sheet(layer)
    or patches_sheet(model, layer, samples.of(moment.data, self.images))
  sheet.name, sheet.columns = self.path, self.columns
  table.insert(sheet.lines, 1, words.moment(moment))
  require "sm.view.sheet".draw(path, sheet) -- only a program that draws needs cairo
end

--- Declares a sheet of the filters of one convolution.
-- @param given the layer's path, or {path, columns= filters in a row of a group (chosen when absent),
--   images=500 for the patches of a deeper convolution}
-- @return a view named "filters-PATH"
local function filters(_, given)
  if type(given) ~= "table" then given = { given } end
  local options = check.options("view.filters", given, {
    { type = "string", required = true },
    columns = { type = "integer", min = 1 },
    images = { type = "integer", min = 1, default = 500 },
  })
  return View.new {
    path = options[1], columns = options.columns, images = options.images, name = "filters-" .. options[1],
  }
end

return setmetatable({ values = values }, { __call = filters })
