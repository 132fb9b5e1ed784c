--- A view of a person's own: values, or a function that gives them anew at each evaluation.
--
-- A kind of such views says how values are read (`read`, which raises where they are none) and how what was read is
-- written as a file (`write`). In a run the function is called with `at`, {step=, training=false, model=, optimizer=,
-- data=, row=}, and what it does leaves no trace in training: sm.view.sample.
-- @module sm.view.own
local autograd = require "sm.autograd"
local check = require "sm.check"
local declaration = require "sm.view.declaration"
local fail = require "sm.fail"
local random = require "sm.random"
local reach = require "sm.reach"
local samples = require "sm.view.sample"
local text = require "sm.text"
local words = require "sm.view.words"

local M = {}

local LONGEST <const> = 100 -- bytes of a line that a person gives


--- The rules of the options that all kinds take; each kind has its own name.
-- @param name by default
function M.options(name)
  return {
    name = { type = "string", default = name, doc = "what the files are called; views of one run have different ones" },
    title = { type = "string", doc = "above the picture; by default the name" },
    grad = { type = "boolean", default = false,
      doc = "whether the function may ask for gradients, as of its input; parameters of the model have none then" },
  }
end

--- A person's text as a sheet writes it, on one line.
-- @param most bytes, or nil
function M.line(given, most)
  return text.brief(text.visible(tostring(given)), most or LONGEST)
end

--- An option that is {low, high}, as a table of one's own; nil where it is not given.
function M.range(kind, name, given)
  if given == nil then return nil end
  check.plain(kind, given)
  local low, high = rawget(given, 1), rawget(given, 2)
  local fits = rawlen(given) == 2 and type(low) == "number" and type(high) == "number"
  if not fits or not (low < high and high - low < math.huge) then
    fail("%s: option '%s' must be {low, high}, two numbers of which the first is smaller; got %s", kind, name,
      fits and ("{%g, %g}"):format(low, high) or check.describe(given))
  end
  return { low, high }
end

--- What was drawn of, in words: "tensor {16, 28, 28}", "a function".
local function described(given)
  return type(given) == "function" and "a function" or check.describe(given)
end

--- What tostring gives for a view.
local function show(self)
  local name = M.line(self.name)
  return ("%s '%s' of %s (%s); x:save(\"%s.png\") draws it"):format(self.kind, name, described(self.given), self.where,
    name)
end

local View, new_view = declaration.class("a view of one's own", show)

--- Raises for values that are none of the view's, with the place of the function that gave them.
function View:refuse(format, ...)
  local info = type(self.given) == "function" and debug.getinfo(self.given, "S")
  self:fail("%s%s", format:format(...),
    info and ("; the function is defined at %s:%d"):format(info.short_src, info.linedefined) or "")
end

--- What is to be drawn now.
local function shown(self, at)
  if type(self.given) ~= "function" then return self:read(self.given) end
  return self:read(self.given(at))
end

--- The same, without a trace in a model's training.
-- @param model or nil, in a script
local function looked(self, at, model)
  local grad = self.options.grad
  if model then return (grad and samples.frozen or samples.quietly)(model, shown, self, at) end
  local _ <close> = random.scope()
  if grad then return shown(self, at) end
  return autograd.no_grad(shown, self, at)
end

--- Can be drawn of any model and data set.
function View.check() end

--- Writes the picture.
-- @param model built
-- @param path of the PNG
-- @param moment {step=, validation_accuracy=, title=, data=, row=, at= what the function gets}
function View:draw(model, path, moment)
  local at = moment.at
    or { step = moment.step, training = false, model = model, data = moment.data, row = moment.row }
  self:write(path, looked(self, at, model), { words.moment(moment) }, moment.step)
end

--- view:save(path): draws a view.image, view.images or view.plot as a PNG, "digits.png", in a script; of a plot
--- also its numbers, "curve.csv". `view:save(path, { model = model, … })` says what its function gets.
-- @param path
-- @param at table, or nil
function View:save(path, at)
  local extension = type(path) == "string" and path:match "[^/.]%.(%w+)$"
  if not self.endings[extension] then
    fail("view:save: expected a path that ends in %s, got %s", self.endings.text, check.describe(path))
  elseif at ~= nil and type(at) ~= "table" then
    fail("view:save: expected a table that the function gets, { model = model }, got %s", check.describe(at))
  end
  local given = { training = false }
  for key, value in check.each("view:save", at or {}) do given[key] = value end
  if given.model ~= nil and type(given.model) ~= "table" then
    fail("view:save: expected a model, got %s", check.describe(given.model))
  end
  self:write(reach.to_write(path), looked(self, given, given.model), {})
end

--- A view.
-- @param kind {name="view.image", read= function(self, …) → content, write= function(self, path, content, lines, step),
--   endings= {png = true, text= in words}}
-- @param given what it shows, or a function(at) that gives it
-- @param options checked
function M.view(kind, given, options)
  local view = new_view {
    kind = kind.name, read = kind.read, write = kind.write, endings = check.with(kind.endings),
    name = options.name, given = given, options = options,
  }
  if type(given) ~= "function" then view:read(given) end -- what is none is told at once
  return view
end

check.public_methods(View, "view:", { "save" }, "a picture of one's own")

return M
