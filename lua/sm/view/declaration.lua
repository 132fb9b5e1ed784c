--- What every view is: declared in a line of the user's, about one layer of a model.
-- @module sm.view.declaration
local text = require "sm.text"
local user_line = require "sm.place".line

local M = {}

local longest_message <const> = 1000 -- bytes; what is longer quotes something that nobody reads

--- Defines a kind of view: a class whose instances have `where`, `kind` and the methods below.
-- @param kind its public name, "view.filters"
-- @param show function(view) → what tostring gives, in place of the usual one
-- @return the class
-- @return function that makes a new view of its fields, `path` (of its layer) and `name` (of its files) among them
function M.class(kind, show)
  local View = { kind = kind }
  local class <const> = { __index = View }

  local function new(fields)
    fields.where = user_line()
    return setmetatable(fields, class)
  end

  function class:__tostring()
    if show then return show(self) end
    return ("%s of layer '%s'"):format(self.kind, self.path)
  end

  --- Raises an error that begins with the line where the view was declared.
  function View:fail(format, ...)
    local words = text.visible(text.brief(format:format(...), longest_message), "\n")
    error(("%s: %s: %s"):format(self.where, self.kind, words), 0)
  end

  --- The view's layer; raises unless the model has it and is built.
  function View:layer(model)
    local found, layer = pcall(model.layer, model, self.path)
    if not found then self:fail("%s", (tostring(layer):gsub("^[^\n]-:%d+: ", ""))) end
    if not layer.input_shape then
      self:fail("layer '%s' has no weights yet; build the model first", self.path)
    end
    return layer
  end

  return View, new
end

return M
