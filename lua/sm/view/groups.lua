--- The consequence of grouping, as one sheet with its numbers beside it: `view.groups "conv2"`.
--
-- A control shows what of such a sheet is due to chance: the channels of a layer without groups are dealt
-- into groups at random, and each channel's probability is the softmax of the layer's outputs over its group.
-- For one large softmax that is the probability of a channel, given that one of its group wins.
-- @module sm.view.groups
local chain = require "sm.view.chain"
local check = require "sm.check"
local columns = require "sm.columns"
local competition = require "sm.view.competition"
local consequence = require "sm.view.consequence"
local declaration = require "sm.view.declaration"
local record = require "sm.view.record"
local samples = require "sm.view.sample"
local words = require "sm.view.words"
local shape_text = require "sm.text".shape

local PASSED_OVER = { normalisation = true, noise = true } -- roles
local MEASURES = columns.define { heading = "Groups",
  { "entropy", words = "how undecided a group is at a location: 0 where one option has it all, 1 where all are alike. "
    .. "The mean over the groups, as those that follow" },
  { "class_bits", words = "what the winner of a group at a location says about the class, in bits" },
  { "redundancy", optional = true, words = "what the winner of one group says about that of another, from 0, nothing, "
    .. "to 1, all of it" },
  { "ablation", words = "what is lost of the accuracy when a group is silenced, that is, set to its mean" },
}

local View, new_view = declaration.class "view.groups"

--- The activation whose channels compete: the layer itself, or what follows it.
local function activation_of(layer)
  if layer.role == "grouping" or layer.role == "activation" then return layer end
  return chain.following(layer, PASSED_OVER)
end

--- Raises unless the activation has groups.
local function check_groups(self, layer, activation)
  if activation and activation.role == "grouping" then return end
  local found = activation and (activation == layer and "is a " .. layer.kind
    or "is followed by a " .. activation.kind) or "is followed by nothing"
  self:fail("layer '%s' %s; groups are those of a softmax (control = 4 deals the channels of another "
    .. "activation into 4 groups at random)", self.path, found)
end

--- Raises unless the channels of an activation without groups can be dealt.
local function check_control(self, layer, activation)
  local kind = activation and activation.kind
  local channels = activation and activation.output_shape[#activation.output_shape]
  if activation and activation.role == "grouping" then
    local groups = #activation:sizes(channels)
    if groups > 1 or activation.options.off then
      self:fail("a control regroups a layer without groups, but '%s' is a softmax %s", activation.path,
        groups > 1 and ("over %d groups"):format(groups) or "with an option of its own (off)")
    end
  elseif not activation or activation.role ~= "activation" then
    self:fail("layer '%s' is followed by %s; a control needs a softmax over all channels, relu, sigmoid or "
      .. "tanh", self.path, kind and "a " .. kind or "nothing")
  end
  if channels % self.control ~= 0 or channels == self.control then
    self:fail("the %d channels of layer '%s' cannot be dealt into %d equal groups of at least 2", channels,
      layer.path, self.control)
  end
end

local function check_data(self, model, data)
  if not data then self:fail "the data set is needed for its images, and none was given" end
  local shape = model.input_shape
  if #shape ~= 3 or shape[3] ~= 1 and shape[3] ~= 3 then
    self:fail("it shows images {height, width, 1 or 3}, but the model takes %s", shape_text(shape))
  elseif not data.classes then
    self:fail("it shows what groups say about classes, but the data set '%s' has none", tostring(data.name))
  end
  local output = model.output_shape
  if #output ~= 1 or output[1] ~= data.classes then
    self:fail("the model must give one score for each of %d classes, but it gives %s", data.classes,
      shape_text(output))
  end
end

--- Raises unless the view can be drawn of this model and data.
-- @param model built
-- @param data the data set
-- @return the activation whose channels compete
function View:check(model, data)
  local layer = self:layer(model)
  local activation = activation_of(layer)
  if self.control then check_control(self, layer, activation) else check_groups(self, layer, activation) end
  local axes = #activation.output_shape
  if axes ~= 1 and axes ~= 3 then
    self:fail("layer '%s' gives %s; expected {height, width, channels} or {channels}", activation.path,
      shape_text(activation.output_shape))
  end
  check_data(self, model, data)
  return activation
end

local function grouping_of(self, activation)
  local channels = activation.output_shape[#activation.output_shape]
  if not self.control then return competition.of_softmax(activation, channels) end
  local temperature = activation.temperature and activation:temperature() or 1
  return competition.dealt(channels, self.control, temperature, self.seed)
end

local function numbers_of(self, model, data)
  local activation = self:check(model, data)
  return consequence.measure(model, activation, samples.of(data, self.images), grouping_of(self, activation),
    data.classes)
end

local function column(self, name)
  return self.path .. (self.control and "_control" .. self.control or "") .. "_" .. name
end

--- The columns that the view adds to metrics.csv: "conv2_entropy", "conv2_control4_entropy", …; no redundancy where
-- there is one group.
-- @param model built
function View:metric_names(model)
  local names, grouping = {}, grouping_of(self, activation_of(self:layer(model)))
  for _, name in ipairs(MEASURES) do
    if name ~= "redundancy" or #grouping.sizes > 1 then names[#names + 1] = column(self, name) end
  end
  return names
end

--- The figures for these columns: see sm.view.consequence's means.
-- @param model built
-- @param data the data set
-- @return table name → number
function View:measure(model, data)
  self.measured = numbers_of(self, model, data) -- and drawn next
  local figures = {}
  for name, value in pairs(consequence.means(self.measured)) do figures[column(self, name)] = value end
  return figures
end

--- The sheet's texts.
local function describe(self, numbers, activation, moment)
  local channels = #activation.output_shape == 3 and "channels at each of %d×%d locations" or "channels"
  local about = ("%d " .. channels .. ", "):format(activation.output_shape[#activation.output_shape],
    table.unpack(activation.output_shape, 1, 2))
  local lines = { words.moment(moment), ("Measured on the first %s %s images"):format(
    words.thousands(numbers.images), numbers.split) }
  if self.control then
    about = ("%s%s, here dealt at random %s"):format(about,
      activation.role == "grouping" and "softmax over all" or activation.kind, words.over(numbers.sizes))
    lines[2] = lines[2] .. ("  ·  Control: the channels were dealt into %d groups at random, seed %d; what "
      .. "is seen here is due to chance"):format(self.control, self.seed)
  else
    about = about .. "softmax " .. words.over(numbers.sizes)
      .. (numbers.off and ", each with “none”" or "")
  end
  return { name = "Groups of " .. self.path, about = about, lines = lines }
end

--- Writes the sheet, and the numbers behind it beside it as .csv.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=, row=}
function View:draw(model, path, moment)
  local activation = self:check(model, moment.data)
  local data = moment.data
  local numbers = moment.row and self.measured or numbers_of(self, model, data)
  self.measured = nil
  local names = words.class_names(data)
  local directory = path:match "^(.*/)[^/]*$" or "./"
  local moments = record.history(directory, self.name, moment.step, #numbers.groups)
  local now = { step = moment.step }
  for g, group in ipairs(numbers.groups) do now[g] = group.entropy end
  moments[#moments + 1] = now
  local sheet = describe(self, numbers, activation, moment)
  local groups_sheet = require "sm.view.groups_sheet" -- only a program that draws needs cairo
  groups_sheet.draw(path, sheet, numbers, moments, names)
  record.write(path:gsub("%.png$", "") .. ".csv", numbers, moment.step, names)
end

local OPTIONS <const> = check.spec("view.groups", {
  { type = "string", required = true, doc = "path of a softmax, or of the layer before it" },
  images = { type = "integer", min = 2, max = 10000, default = 500, doc = "how many are looked at" },
  control = { type = "integer", min = 2,
    doc = "number of groups into which the channels of a layer without groups are dealt at random" },
  seed = { type = "integer", default = 1, doc = "of the dealing" },
})

--- view.groups "conv2": what the groups of a softmax do, on one sheet, with the numbers in a CSV beside it.
-- @return a view named "groups-PATH", or "groups-PATH-control4"
return function(given)
  if type(given) ~= "table" then given = { given } end
  local options = check.options("view.groups", given, OPTIONS)
  local path, control = options[1], options.control
  return new_view {
    path = path, images = options.images, control = control, seed = options.seed,
    name = "groups-" .. path .. (control and "-control" .. control or ""),
  }
end
