--- Views: pictures of what a network learned. `sm.view.filters "conv1"`.
--
-- A view has a `name`, after which its files are called; `view:check(model, data)`, which raises when the
-- view cannot be drawn of this model and data set; and `view:draw(model, path, moment)`, which writes a PNG
-- and, where there are numbers behind it, a .csv of the same name. A moment says what the picture shows:
-- {step=, validation_accuracy= (a fraction, or nil), title= (or nil), data= (the data set), row= (of metrics.csv at
-- this step, or nil)}.
-- A view may add columns to metrics.csv: `view:metric_names(model)` gives their names, and at each evaluation
-- `view:measure(model, data)` the figures by name.
-- @module sm.view
local check = require "sm.check"
local classes = require "sm.view.classes"
local images = require "sm.view.images"

return check.closed({
  canvas = require "sm.view.canvas",
  confusion = classes.confusion,
  filters = require "sm.view.filters",
  groups = require "sm.view.groups",
  image = images.image,
  images = images.images,
  mistakes = classes.mistakes,
  paint = require "sm.view.paint",
  plot = require "sm.view.plot",
}, "sm.view", "views")
