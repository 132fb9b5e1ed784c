---@meta sm.view
-- Made by `make docs` from the library's records, rules and comments; a test compares.

--- sm.view: pictures.
---@class sm.view
local view = {}

--- A picture that a run draws at each evaluation.
---@class sm.View
local View = {}

--- after which its files are called
---@type string
View.name = nil

--- A picture to draw on.
---@class sm.Canvas
local Canvas = {}

---@class sm.options.view.canvas
---@field background? string its colour (default: "#ffffff")

--- `view.canvas(width, height)`
---
--- an empty picture of so many pixels to draw on. x grows to the right and y downwards; at whole numbers a rectangle
--- has crisp sides.
---@param width integer
---@param height integer
---@param options? sm.options.view.canvas
---@return sm.Canvas # a canvas
function view.canvas(width, height, options) end

---@class sm.options.view.confusion
---@field examples? integer how many of the validation data are looked at; all when absent
--- whether scores are logits, the softmax of which gives probabilities; by default where the loss is "cross_entropy",
--- and in a script
---@field logits? boolean
---@field name? string what the files are called; views of one run have different ones (default: "confusion")

--- `view.confusion {}`
---
--- the confusion matrix, the accuracy of each class with its interval, and, of logits, how well the probabilities are
--- calibrated, on one sheet.
---@param options? sm.options.view.confusion
---@return sm.View # a view
function view.confusion(options) end

---@class sm.options.view.filters
---@field [1] string path of a conv2d layer
--- what weights the patches of a deeper convolution: "activation" or "gradient" (default: "activation")
---@field by? string
---@field columns? integer filters in a row of a group; chosen when absent
---@field images? integer how many are looked at for a deeper convolution (default: 500)

--- `view.filters "conv1", view.filters { "conv1", columns = 8 }`
---
--- a sheet of the filters of one convolution.
---@param options sm.options.view.filters|string
---@return sm.View # a view named "filters-PATH", or "filters-PATH-gradient"
function view.filters(options) end

---@class sm.options.view.groups
---@field [1] string path of a softmax, or of the layer before it
---@field control? integer number of groups into which the channels of a layer without groups are dealt at random
---@field images? integer how many are looked at (default: 500)
---@field seed? integer of the dealing (default: 1)

--- `view.groups "conv2"`
---
--- what the groups of a softmax do, on one sheet, with the numbers in a CSV beside it.
---@param options sm.options.view.groups|string
---@return sm.View # a view named "groups-PATH", or "groups-PATH-control4"
function view.groups(options) end

---@class sm.options.view.image
--- whether the function may ask for gradients, as of its input; parameters of the model have none then (default:
--- false)
---@field grad? boolean
---@field labels? string|number a text below the picture
---@field name? string what the files are called; views of one run have different ones (default: "image")
--- {low, high}: what is black, what is white; by default 0 and 255 for uint8, 0 and 1 where all are between, else the
--- least and the largest, which the sheet then says
---@field range? table
---@field scale? integer pixels of the side of a value; chosen when absent
---@field signed? boolean blue below 0, red above, on a symmetric scale (default: false)
---@field title? string above the picture; by default the name

--- `view.image(x), view.image(function(at) return x end)`
---
--- a picture of one's own, x a tensor {height, width} or {height, width, 1 or 3}; a function is called at each
--- evaluation, and its second result is a label. Of a tensor {count, height, width, 1 or 3} it is a sheet, as
--- view.images makes it. The prompt shows a picture that it is given.
---@param x sm.Tensor|function
---@param options? sm.options.view.image
---@return sm.View # a view
function view.image(x, options) end

---@class sm.options.view.images
---@field columns? integer pictures in a row; chosen when absent
--- whether the function may ask for gradients, as of its input; parameters of the model have none then (default:
--- false)
---@field grad? boolean
---@field labels? table|sm.Tensor a list of texts or numbers, one below each picture
---@field name? string what the files are called; views of one run have different ones (default: "images")
--- {low, high}: what is black, what is white; by default 0 and 255 for uint8, 0 and 1 where all are between, else the
--- least and the largest, which the sheet then says
---@field range? table
---@field scale? integer pixels of the side of a value; chosen when absent
---@field signed? boolean blue below 0, red above, on a symmetric scale (default: false)
---@field title? string above the picture; by default the name

--- `view.images(x), view.images(function(at) return x, labels end)`
---
--- a sheet of pictures of one's own, x a tensor {count, height, width}, {count, height, width, 1 or 3}, or a list of
--- tensors; a function is called at each evaluation.
---@param x sm.Tensor|sm.Tensor[]|function
---@param options? sm.options.view.images
---@return sm.View # a view
function view.images(x, options) end

---@class sm.options.view.mistakes
---@field examples? integer how many of the validation data are looked at; all when absent
--- whether scores are logits, the softmax of which gives probabilities; by default where the loss is "cross_entropy",
--- and in a script
---@field logits? boolean
---@field name? string what the files are called; views of one run have different ones (default: "mistakes")

--- `view.mistakes {}`
---
--- the 32 mistakes with the highest loss, as pictures where inputs are images, else as a table.
---@param options? sm.options.view.mistakes
---@return sm.View # a view
function view.mistakes(options) end

---@class sm.options.view.paint
---@field name? string what the files are called (default: "paint")
---@field paintings? integer paintings of each class that the figures are counted on (default: 200)
--- labels of classes to go half-way between, {{3, 8}, …}; by default the first with the second and so on
---@field pairs? table
---@field seed? integer of the dice (default: 1)
---@field shown? integer paintings of each class on the sheet (default: 10)

--- `view.paint { pairs = { { 3, 8 } } }`
---
--- what the network paints of each class, read from the top down.
---@param given? sm.options.view.paint
---@return sm.View # a view
function view.paint(given) end

---@class sm.options.view.plot
--- whether the function may ask for gradients, as of its input; parameters of the model have none then (default:
--- false)
---@field grad? boolean
---@field name? string what the files are called; views of one run have different ones (default: "plot")
---@field style? "line"|"points"|"bars" of all series that do not say theirs (default: "line")
---@field title? string above the picture; by default the name
---@field x_axis? string title of the axis
---@field x_log? boolean a logarithmic axis, which has only numbers above 0 (default: false)
---@field x_range? table {low, high}: what of the axis is shown; by default all
---@field y_axis? string title of the axis
---@field y_log? boolean a logarithmic axis, which has only numbers above 0 (default: false)
---@field y_range? table {low, high}: what of the axis is shown; by default all

---@class sm.options.view.plot.series
---@field name? string in the legend; by default its key
---@field style? "line"|"points"|"bars" by default the plot's
---@field x? table|sm.Tensor as many; by default 1, 2, 3, …
---@field y table|sm.Tensor a list of numbers, or a tensor {count}

--- `view.plot { x = …, y = … }, view.plot(function(at) return { train = …, test = … } end)`
---
--- curves, points or bars of one's own. A series is { x =, y = }, a list of numbers or a tensor {count}; several have
--- names. A function is called at each evaluation. The numbers stand in a CSV beside the picture. A line has a gap
--- where a number is not finite.
---@param series sm.Tensor|table|function
---@param options? sm.options.view.plot
---@return sm.View # a view
function view.plot(series, options) end

--- `view:save(path)`
---
--- draws a view.image, view.images or view.plot as a PNG, "digits.png", in a script; of a plot also its numbers,
--- "curve.csv". `view:save(path, { model = model, … })` says what its function gets.
---@param path string
---@param at? table table, or nil
function View:save(path, at) end

---@class sm.options.canvas.text
---@field align? "left"|"centre"|"right" which end x is (default: "left")
---@field bold? boolean whether it is bold (default: false)
---@field colour? string "#rrggbb", or "#rrggbbaa" with an alpha (default: "#1c1f24")
---@field size? number pixels of a letter's square (default: 16)

--- `canvas:text(x, y, "words", { size = 16, bold = false, align = "left", colour = "#1c1f24" })`
---
--- writes a line; x is its left end, middle or right end, y its base line.
---@param x number
---@param y number
---@param text string
---@param options? sm.options.canvas.text
function Canvas:text(x, y, text, options) end

--- `canvas:measure("words", { size = 16, bold = false })`
---
--- how many pixels a line of text is wide.
---@param text string
---@param options? table
---@return number # a number
function Canvas:measure(text, options) end

---@class sm.options.canvas.line
---@field colour? string "#rrggbb", or "#rrggbbaa" with an alpha (default: "#1c1f24")
---@field thickness? number pixels (default: 1)

--- `canvas:line({ x1, y1, x2, y2, … }, { colour = "#1c1f24", thickness = 1 })`
---
--- one stroke through these points, which may be a tensor {count, 2}.
---@param points number[]|sm.Tensor
---@param options? sm.options.canvas.line
function Canvas:line(points, options) end

---@class sm.options.canvas.rectangle
---@field fill? string colour of the inside; nothing when absent
---@field radius? number of the corners (default: 0)
---@field stroke? string colour of the border, which lies inside; none when absent
---@field thickness? number of the border (default: 1)

--- `canvas:rectangle(x, y, width, height, { fill = "#f6f7f9", stroke = "#b9bfc7" })`
---
--- a rectangle, x and y its upper left corner; a radius of half its side makes a disc.
---@param x number
---@param y number
---@param width number
---@param height number
---@param options? sm.options.canvas.rectangle
function Canvas:rectangle(x, y, width, height, options) end

---@class sm.options.canvas.image
---@field range? table {low, high}: what is black, what is white; by default 0 and 255 for uint8, else 0 and 1
---@field scale? integer pixels of the side of a value (default: 1)
--- blue below the middle of the range, red above; the range is then -1 and 1 by default (default: false)
---@field signed? boolean

--- `canvas:image(x, y, picture, { scale = 1, range = { 0, 1 } })`
---
--- a tensor {height, width}, or {height, width, 1 or 3}, with its upper left corner there. What is beyond the range
--- takes the nearer end.
---@param x number
---@param y number
---@param picture sm.Tensor
---@param options? sm.options.canvas.image
function Canvas:image(x, y, picture, options) end

--- `canvas:save(path)`
---
--- writes it as a PNG, whole or not at all. A view saves it under the path that it is given.
---@param path string
function Canvas:save(path) end

return view
