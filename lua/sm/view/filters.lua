--- The filters of a convolution as one sheet: `view.filters "conv1"`.
--
-- Over pixels the weights themselves are drawn. One symmetric scale serves the whole sheet, and zero is its
-- middle. A softmax over a group of channels is blind to what its filters have in common: adding the same
-- numbers to each changes nothing. So where a softmax follows the convolution, the mean over the group's
-- filters is taken off before drawing, and each group has a frame.
--
-- The weights of a deeper convolution are over channels, not pixels. There each filter is shown by the mean
-- of the image patches that it sees, weighted by its activation, less the mean of its group; or, by =
-- "gradient", weighted by what its activation does for the class that the network names.
--
-- Of filters over pixels, metrics.csv gets numbers at each evaluation: how smooth and how spread they are, less
-- what they have in common, and how many are used (see sm.view.measure).
-- @module sm.view.filters
local attribution = require "sm.view.attribution"
local chain = require "sm.view.chain"
local check = require "sm.check"
local colour = require "sm.view.colour"
local declaration = require "sm.view.declaration"
local fail = require "sm.fail"
local field = require "sm.view.field"
local measure = require "sm.view.measure"
local samples = require "sm.view.sample"
local values = require "sm.view.values"
local words = require "sm.view.words"
local shape_text = require "sm.text".shape

local CHANNELS = { [1] = "grey", [3] = "rgb" } -- channels that are a picture
local ACTIVATIONS = { grouping = true, activation = true } -- roles
local PASSED_OVER = { normalisation = true }
local WEIGHTINGS = { activation = "", gradient = "-gradient" } -- by what: how the view's name ends

local View, new_view = declaration.class "view.filters"

--- How the filters are grouped.
-- @return sizes of the groups; whether they are groups of a softmax; whether their mean has no effect. It has
-- one where the softmax has an implicit option of logit 0 (`off`), which the others are measured against.
local function grouping(layer)
  local filters = layer.weight.shape[4]
  local after = chain.following(layer)
  if not after or after.role ~= "grouping" then return { filters }, false, false end
  return after:sizes(filters), true, not after.options.off
end

local function over_pixels(layer)
  local channels = layer.weight.shape[3]
  return CHANNELS[channels] ~= nil and layer.input_shape[3] == channels -- not of a group
end

--- The layer whose output says how active each filter is.
local function source_of(layer)
  local after = chain.following(layer, PASSED_OVER)
  return after and ACTIVATIONS[after.role] and after or layer
end

--- Raises unless patches can be weighted as asked.
local function check_weighting(self, model, layer)
  if self.by == "activation" then return end
  local output = model.output_shape
  if over_pixels(layer) then
    self:fail("option 'by' says how image patches are weighted, but the filters of layer '%s' are over "
      .. "pixels and drawn as they are", self.path)
  elseif #output ~= 1 or output[1] < 2 then
    self:fail("by = \"gradient\" needs a model that gives a score for each class, but this one gives %s",
      shape_text(output))
  end
end

--- Raises unless the model has the layer, and its filters can be shown as pictures.
-- @param model built
-- @param data the data set, from which the images for a deeper convolution are taken
-- @return the layer
function View:check(model, data)
  local layer = self:layer(model)
  if layer.role ~= "weights" or not layer.window or #layer.weight.shape ~= 4 then
    self:fail("layer '%s' is a %s; a conv2d layer has filters to draw", self.path, layer.kind)
  end
  check_weighting(self, model, layer)
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

--- The mean patch that each filter sees, weighted by its activation or by what that does for the class that the
-- network names; where a weight is negative: 0.
local function mean_patches(model, layer, sample, by)
  local source, mean = source_of(layer), field.mean(layer, layer.weight.shape[4])
  local gradient = by == "gradient"
  local within = gradient and samples.frozen or samples.quietly
  within(model, function()
    for x in samples.batches(sample) do
      local weights = gradient and attribution.of(model, source, x) or chain.watch(model, source, x).output
      mean:add(weights:relu(), x)
    end
  end)
  return mean:result()
end

--- The variance of each filter's activation over the images of a sample and their locations. Activations are taken
--- less the mean of the first batch, which leaves their squares no larger than the variance needs.
local function variances(model, layer, sample)
  local source, filters = source_of(layer), layer.weight.shape[4]
  local origin, count, sum, squares, found = nil, 0, {}, {}, {}
  for i = 1, filters do sum[i], squares[i] = 0, 0 end
  samples.quietly(model, function()
    for x in samples.batches(sample) do
      local rows = chain.watch(model, source, x).output:reshape(-1, filters)
      origin = origin or rows:mean(1)
      rows = rows - origin
      local own, own_squares = rows:sum(1):totable(), (rows * rows):sum(1):totable()
      for i = 1, filters do sum[i], squares[i] = sum[i] + own[i], squares[i] + own_squares[i] end
      count = count + #rows
    end
  end)
  for i = 1, filters do found[i] = math.max(0, squares[i] / count - (sum[i] / count) ^ 2) end
  return found
end

local function about_groups(sizes, framed)
  return framed and ", softmax " .. words.over(sizes) or ""
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
local function patches_sheet(model, layer, sample, by)
  local sizes, framed = grouping(layer)
  local pictures, peak = values(mean_patches(model, layer, sample, by), sizes)
  local gradient = by == "gradient"
  local rows, columns = table.unpack(field.of(layer).size)
  return {
    pictures = pictures, peak = peak, sizes = sizes, framed = framed,
    map = #pictures[1].shape == 2 and colour.diverging or colour.grey,
    about = ("%d filters, each by the %d×%d pixels that it sees%s"):format(#pictures, rows, columns,
      about_groups(sizes, framed)),
    legend = ("mean brightness where the filter %s"):format(
      gradient and "speaks for the answer" or "is active") .. removed_text(sizes),
    lines = {
      ("Mean of the patches of the first %s %s images, weighted by %s"):format(words.thousands(sample.size),
        sample.name, gradient and "activation × gradient" or "the filter's activation"),
      gradient and "of the score of the class that the network names, where that is positive" or nil,
    },
  }
end

--- What metrics.csv says of the filters, or nil where nothing was measured.
local function measured_text(path, row)
  if not row or not row[path .. "_used"] then return nil end
  local roughness, spread = row[path .. "_roughness"], row[path .. "_spread"]
  local used = ("%.0f%% of the filters used"):format(100 * row[path .. "_used"])
  if not roughness then return used end
  return ("%s  ·  less their mean: roughness %.2f (even 0, noise 1), spread over %.1f dimensions"):format(used,
    roughness, spread)
end

--- Writes the sheet.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=, row=}
function View:draw(model, path, moment)
  local layer = self:check(model, moment.data)
  local sheet = over_pixels(layer) and weights_sheet(layer)
    or patches_sheet(model, layer, samples.of(moment.data, self.images), self.by)
  sheet.name, sheet.columns = self.path, self.columns
  table.insert(sheet.lines, 1, words.moment(moment))
  sheet.lines[#sheet.lines + 1] = measured_text(self.path, moment.row)
  require "sm.view.sheet".draw(path, sheet) -- only a program that draws needs cairo
end

--- Whether there is something to see before the first step: the filters themselves, but not what those of a deeper
-- convolution will see.
-- @param model built
function View:initially(model)
  return over_pixels(self:layer(model))
end

--- The columns that the view adds to metrics.csv: "conv1_roughness", …; none for a deeper convolution or for
-- filters of one pixel.
-- @param model built
function View:metric_names(model)
  local layer, names = self:layer(model), {}
  local rows, columns = table.unpack(layer.weight.shape)
  if not over_pixels(layer) or rows * columns == 1 then return names end
  for i, name in ipairs(measure.names) do names[i] = self.path .. "_" .. name end
  return names
end

--- The figures for these columns.
-- @param model built
-- @param data the data set, whose images show which filters are used
-- @return table name → number; where no filter that is used differs from the mean, there is no figure for its shape
function View:measure(model, data)
  local layer, figures = self:layer(model), {}
  local sizes, _, blind = grouping(layer)
  local found = measure.filters((values(layer.weight, blind and sizes or { layer.weight.shape[4] })),
    variances(model, layer, samples.of(data, self.images)))
  for i, name in ipairs(self:metric_names(model)) do figures[name] = found[measure.names[i]] end
  return figures
end

local OPTIONS <const> = check.spec("view.filters", {
  { type = "string", required = true, doc = "path of a conv2d layer" },
  columns = { type = "integer", min = 1, doc = "filters in a row of a group; chosen when absent" },
  images = { type = "integer", min = 1, default = 500, doc = "how many are looked at for a deeper convolution" },
  by = { type = "string", default = "activation",
    doc = "what weights the patches of a deeper convolution: \"activation\" or \"gradient\"" },
})

--- view.filters "conv1", view.filters { "conv1", columns = 8 }: a sheet of the filters of one convolution.
-- @return a view named "filters-PATH", or "filters-PATH-gradient"
local function filters(given)
  if type(given) ~= "table" then given = { given } end
  local options = check.options("view.filters", given, OPTIONS)
  local path, by = options[1], options.by
  if not WEIGHTINGS[by] then
    fail("view.filters: option 'by' must be \"activation\" or \"gradient\", got %s%s", check.describe(by),
      check.suggest(by, { "activation", "gradient" }))
  end
  return new_view {
    path = path, columns = options.columns, images = options.images, by = by,
    name = "filters-" .. path .. WEIGHTINGS[by],
  }
end

local function call(_, given) return filters(given) end

return check.read_only({ values = values }, "view.filters", {
  __call = check.public("view.filters", call, { method = true }),
})
