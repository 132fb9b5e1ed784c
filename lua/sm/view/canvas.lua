--- The canvas for drawings of one's own: `view.canvas(width, height)`.
--
-- The house's canvas (bind/canvas.c) behind a few methods with checked options, and the house's fonts and colours where
-- nothing is said.
-- @module sm.view.canvas
local check = require "sm.check"
local colour = require "sm.view.colour"
local fail = require "sm.fail"
local own = require "sm.view.own"
local reach = require "sm.reach"
local runtime = require "sm.runtime"
local style = require "sm.view.style"

local Canvas = {}
local class <const> = { __index = Canvas, __name = "canvas" }

local picture_of <const> = setmetatable({}, { __mode = "k" }) -- what each canvas draws on

function class:__tostring()
  return ("canvas of %d×%d pixels; x:save(\"picture.png\") writes it"):format(picture_of[self]:size())
end

local function numbers(where, ...)
  for i, name in ipairs { "x", "y", "width", "height" } do
    local value = select(i, ...)
    if i <= select("#", ...) and (type(value) ~= "number" or value - value ~= 0) then
      fail("%s: %s must be a finite number, got %s", where, name, check.describe(value))
    end
  end
end

local TEXT <const> = check.spec("canvas:text", {
  size = { type = "number", above = 0, default = style.label.size, doc = "pixels of a letter's square" },
  bold = { type = "boolean", default = false, doc = "whether it is bold" },
  align = { type = "string", choices = { "left", "centre", "right" }, default = "left", doc = "which end x is" },
  colour = { type = "string", default = style.ink, doc = "\"#rrggbb\", or \"#rrggbbaa\" with an alpha" },
})

--- canvas:text(x, y, "words", { size = 16, bold = false, align = "left", colour = "#1c1f24" }): writes a line; x is its
-- left end, middle or right end, y its base line.
function Canvas:text(x, y, text, options)
  numbers("canvas:text", x, y)
  if type(text) ~= "string" then fail("canvas:text: expected a text, got %s", check.describe(text)) end
  picture_of[self]:text(x, y, text, check.options("canvas:text", options, TEXT))
end

--- canvas:measure("words", { size = 16, bold = false }): how many pixels a line of text is wide.
-- @return a number
function Canvas:measure(text, options) -- luacheck: ignore self
  if type(text) ~= "string" then fail("canvas:measure: expected a text, got %s", check.describe(text)) end
  local look = check.options("canvas:measure", options, TEXT)
  return (require "sm.canvas".measure(text, { size = look.size, bold = look.bold }))
end

local LINE <const> = check.spec("canvas:line", {
  colour = { type = "string", default = style.ink, doc = "\"#rrggbb\", or \"#rrggbbaa\" with an alpha" },
  thickness = { type = "number", above = 0, default = 1, doc = "pixels" },
})

--- canvas:line({ x1, y1, x2, y2, … }, { colour = "#1c1f24", thickness = 1 }): one stroke through these points, which
-- may be a tensor {count, 2}.
function Canvas:line(points, options)
  if runtime.tensor.is_tensor(points) then points = points:reshape(-1):totable() end
  if type(points) ~= "table" then
    fail("canvas:line: expected the points {x1, y1, x2, y2, …}, got %s", check.describe(points))
  end
  picture_of[self]:line(points, check.options("canvas:line", options, LINE))
end

local RECTANGLE <const> = check.spec("canvas:rectangle", {
  fill = { type = "string", doc = "colour of the inside; nothing when absent" },
  stroke = { type = "string", doc = "colour of the border, which lies inside; none when absent" },
  thickness = { type = "number", above = 0, default = 1, doc = "of the border" },
  radius = { type = "number", min = 0, default = 0, doc = "of the corners" },
})

--- canvas:rectangle(x, y, width, height, { fill = "#f6f7f9", stroke = "#b9bfc7" }): a rectangle, x and y its upper left
-- corner; a radius of half its side makes a disc.
function Canvas:rectangle(x, y, width, height, options)
  numbers("canvas:rectangle", x, y, width, height)
  options = check.options("canvas:rectangle", options, RECTANGLE)
  if not options.fill and not options.stroke then fail "canvas:rectangle: expected a fill, a stroke or both" end
  picture_of[self]:rect(x, y, width, height, options)
end

local IMAGE <const> = check.spec("canvas:image", {
  scale = { type = "integer", min = 1, default = 1, doc = "pixels of the side of a value" },
  range = { type = "table", doc = "{low, high}: what is black, what is white; by default 0 and 255 for uint8, else 0 "
    .. "and 1" },
  signed = { type = "boolean", default = false,
    doc = "blue below the middle of the range, red above; the range is then -1 and 1 by default" },
})

--- canvas:image(x, y, picture, { scale = 1, range = { 0, 1 } }): a tensor {height, width}, or {height, width, 1 or 3},
-- with its upper left corner there. What is beyond the range takes the nearer end.
function Canvas:image(x, y, picture, options)
  numbers("canvas:image", x, y)
  options = check.options("canvas:image", options, IMAGE)
  local shape = runtime.tensor.is_tensor(picture) and picture.shape or {}
  if #shape ~= 2 and not (#shape == 3 and (shape[3] == 1 or shape[3] == 3)) then
    fail("canvas:image: expected a tensor {height, width} or {height, width, 1 or 3}, got %s", check.describe(picture))
  end
  local rgb = shape[3] == 3
  if rgb and options.signed then fail "canvas:image: signed = true takes grey pictures alone" end
  local range = own.range("canvas:image", "range", options.range)
    or options.signed and { -1, 1 } or { 0, picture.dtype == "uint8" and 255 or 1 }
  local pixels = picture:detach():to(runtime.real)
  picture_of[self]:image(x, y, options.scale * shape[2], options.scale * shape[1],
    rgb and pixels or pixels:reshape(shape[1], shape[2]),
    { low = range[1], high = range[2], map = not rgb and (options.signed and colour.diverging or colour.grey) or nil })
end

--- canvas:save(path): writes it as a PNG, whole or not at all. A view saves it under the path that it is given.
function Canvas:save(path)
  if type(path) ~= "string" or not path:find "[^/]%.png$" then
    fail("canvas:save: expected a path that ends in \".png\", got %s", check.describe(path))
  end
  picture_of[self]:save(reach.to_write(path))
end

check.public_methods(Canvas, "canvas:", { "text", "measure", "line", "rectangle", "image", "save" }, "a canvas")

local OPTIONS <const> = check.spec("view.canvas", {
  background = { type = "string", default = style.background, doc = "its colour" },
})

--- view.canvas(width, height): an empty picture of so many pixels to draw on. x grows to the right and y downwards; at
-- whole numbers a rectangle has crisp sides.
-- @return a canvas
return function(width, height, options)
  local page = require "sm.view.page" -- only a program that draws needs cairo
  options = check.options("view.canvas", options, OPTIONS)
  for name, side in pairs { width = width or false, height = height or false } do
    if math.type(side) ~= "integer" or side < 1 or side > page.largest then
      fail("view.canvas: the %s must be an integer from 1 to %d, got %s", name, page.largest, check.describe(side))
    end
  end
  local canvas = setmetatable({}, class)
  picture_of[canvas] = page.canvas(width, height, options.background)
  return canvas
end
