--- A person's own pictures as a sheet: `view.image(x)`, `view.images(function(at) … end)`.
--
-- All pictures of a sheet have one scale. ±∞ takes its ends; what is no number is drawn in a colour of its own, and
-- counted.
-- @module sm.view.images
local check = require "sm.check"
local colour = require "sm.view.colour"
local fail = require "sm.fail"
local own = require "sm.view.own"
local runtime = require "sm.runtime"
local style = require "sm.view.style"
local tensor = require "sm.tensor"
local text = require "sm.text"
local words = require "sm.view.words"

local where <const> = require "sm.ops.compare".where
local is_tensor <const> = runtime.tensor.is_tensor

local MOST <const> = 1000        -- pictures of a sheet
local LONGEST_LABEL <const> = 40 -- bytes
local ALONE <const> = 280        -- pixels of the side of a single picture, roughly
local BAR_SPACE <const> = 28     -- between the pictures and the scale's bar
local FARTHEST <const> = 1e37    -- from 0, that a scale ends
local BEYOND <const> = 1e38      -- every scale: where what is no number lies, in a colour of its own
local ODD <const> = { 1, 0, 200 / 255 } -- the same colour, style.odd

--- Raises unless x is one picture.
-- @param what "a picture", "picture 3"
local function check_picture(self, x, what)
  local shape = is_tensor(x) and x.shape or {}
  if #shape ~= 2 and not (#shape == 3 and (shape[3] == 1 or shape[3] == 3)) then
    self:refuse("%s is a tensor {height, width}, or {height, width, 1 or 3}; got %s", what, check.describe(x))
  elseif shape[1] == 0 or shape[2] == 0 then
    self:refuse("%s has no pixels: its shape is %s", what, text.shape(shape))
  end
end

--- The pictures as a list of tensors, each {height, width} or {height, width, 3}.
local function list_of(self, given)
  local list = {}
  if self.options.single then
    check_picture(self, given, "a picture")
    list[1] = given
  elseif is_tensor(given) then
    local shape = given.shape
    if #shape ~= 3 and not (#shape == 4 and (shape[4] == 1 or shape[4] == 3)) then
      self:refuse("pictures are a tensor {count, height, width}, or {count, height, width, 1 or 3}, or a list of "
        .. "tensors; got %s", check.describe(given))
    end
    for i = 1, math.min(shape[1], MOST + 1) do list[i] = given[i] end
  elseif type(given) == "table" and not check.is_callable(given) then
    check.plain(self.kind, given)
    for i = 1, math.min(rawlen(given), MOST + 1) do list[i] = rawget(given, i) or false end
    for key in next, given do
      if not list[key] and not (math.type(key) == "integer" and key > MOST) then
        self:refuse("a list of pictures has positions alone, got the key %s", check.word(key))
      end
    end
  else
    self:refuse("expected a tensor of pictures or a list of tensors, got %s", check.describe(given))
  end
  if #list > MOST then
    self:refuse("a sheet has at most %s pictures; x:narrow(1, 1, %d) takes the first", words.thousands(MOST), MOST)
  end
  for i, x in ipairs(list) do
    if not self.options.single then check_picture(self, x, ("picture %d"):format(i)) end
    local shape = x.shape
    list[i] = #shape == 3 and shape[3] == 1 and x:reshape(shape[1], shape[2]) or x
  end
  return list
end

local function label_of(self, value)
  if type(value) == "number" then return words.number(value) end
  if type(value) == "string" then return own.line(value, LONGEST_LABEL) end
  self:refuse("a label is a text or a number, got %s", check.describe(value))
end

--- The labels as texts, one for each picture; nil where there are none.
local function labels_of(self, given, count)
  local declared = self.options.labels
  if given == nil then given = declared elseif declared ~= nil then
    self:refuse "labels come from the option 'labels' or from the function, not from both"
  end
  if given == nil then return nil end
  if is_tensor(given) then given = #given.shape == 1 and given:totable() or given end
  if self.options.single and type(given) ~= "table" then given = { given } end
  if type(given) ~= "table" then
    self:refuse("labels are a list of texts or numbers, or a tensor {count}; got %s", check.describe(given))
  end
  check.plain(self.kind, given)
  if rawlen(given) ~= count then
    self:refuse("expected a label for each of %s, got %d", words.count(count, "picture"), rawlen(given))
  end
  local labels = {}
  for i = 1, count do labels[i] = label_of(self, rawget(given, i)) end
  return labels
end

--- The least and the largest finite number of some pictures; nil where there is none.
local function extremes(list)
  local low, high = math.huge, -math.huge
  for _, x in ipairs(list) do
    local finite = x:isfinite()
    low = math.min(low, where(finite, x, math.huge):min():item())
    high = math.max(high, where(finite, x, -math.huge):max():item())
  end
  if low > high then return nil end
  return math.max(low, -FARTHEST), math.min(high, FARTHEST)
end

--- @return low, high, and whether the sheet must say so: it is none that goes without saying
local function scale_of(self, list, bytes)
  local range, signed = self.options.range, self.options.signed
  local low, high = extremes(list)
  if range then return range[1], range[2], range[1] ~= 0 or range[2] ~= (bytes and 255 or 1) end
  if signed then
    local peak = low and math.max(math.abs(low), math.abs(high)) or 1
    if peak == 0 then peak = 1 end
    return -peak, peak, true
  elseif bytes then
    return 0, 255, false
  elseif not low or low >= 0 and high <= 1 then
    return 0, 1, false
  end
  return low, high > low and high or low + 1, true
end

--- A picture as the canvas takes it, and whether some of its pixels are no numbers.
-- @param rgb whether it is drawn in colours; else what is no number lies beyond the scale
local function prepared(x, low, high, rgb)
  local odd, inside = x:ne(x), x:clamp(low, high)
  if not rgb then return where(odd, BEYOND, inside), odd:any():item() ~= 0 end
  local shape = x.shape
  if #shape == 2 then
    shape[3] = 3
    odd, inside = odd:unsqueeze(3):expand(shape), inside:unsqueeze(3):expand(shape)
  end
  local ink = tensor.tensor(ODD) * (high - low) + low
  return where(odd:any(3):unsqueeze(3), ink, inside), odd:any():item() ~= 0
end

--- What is drawn.
-- @return {pictures=, map= or nil for rgb, low=, high= as the canvas takes them, captions=, about=, bar= or nil}
local function read(self, given, labels)
  local list = list_of(self, given)
  local content = { captions = labels_of(self, labels, #list) }
  local bytes, rgb, height, width, alike = #list > 0, false, 0, 0, true
  for i, x in ipairs(list) do
    local shape = x.shape
    bytes, rgb = bytes and x.dtype == "uint8", rgb or #shape == 3
    alike = alike and (i == 1 or height == shape[1] and width == shape[2])
    height, width = math.max(height, shape[1]), math.max(width, shape[2])
    list[i] = x:detach():to(runtime.real)
  end
  local signed = self.options.signed
  if signed and rgb then self:refuse "signed = true has colours for the sign, and takes grey pictures alone" end
  local low, high, told = scale_of(self, list, bytes)
  local scale, odd = signed and colour.diverging or colour.grey, 0
  for i, x in ipairs(list) do
    local some
    list[i], some = prepared(x, low, high, rgb)
    odd = odd + (some and 1 or 0)
  end
  content.pictures, content.low, content.high = list, low, high
  if not rgb then -- one colour more, beyond the scale
    content.map = table.move(scale, 1, #scale, 1, {})
    content.map[#scale + 1] = style.odd
    content.high = low + (high - low) * #scale / (#scale - 1)
  end
  content.size = math.max(height, width)
  content.about = ("%s%d×%d%s"):format(self.options.single and ""
    or words.count(#list, "picture") .. (alike and " of " or " of up to "), height, width, rgb and ", rgb" or "")
  if #list == 0 then content.about = "no pictures" end
  content.lines = odd > 0 and { ("%s pixels that are no numbers: magenta"):format(
    odd == 1 and "1 picture has" or ("%d pictures have"):format(odd)) } or {}
  if told and #list > 0 then
    content.bar = { map = scale, words = rgb and "each colour" or "value",
      texts = { words.number(low), signed and "0" or words.number(high), signed and words.number(high) or nil } }
  end
  return content
end

--- How many pictures a row has; nil for few of them, whose best arrangement is quickly found.
local function columns_of(count)
  if count <= 64 then return nil end
  return math.ceil(math.sqrt(count * 1.6))
end

local function write(self, path, content, lines)
  local page = require "sm.view.page" -- only a program that draws needs cairo
  local count, options = #content.pictures, self.options
  for i, line in ipairs(content.lines) do lines[#lines + i] = line end
  local boxes = {}
  if count > 0 then
    content.sizes, content.framed = { count }, false
    content.columns = options.columns or columns_of(count)
    content.side = count == 1 and ALONE or nil
    content.scale = options.scale
    if not content.scale and content.size > ALONE then content.scale = 1 end
    boxes[1] = require "sm.view.pictures" (content)
  end
  if content.bar then boxes[#boxes + 1] = page.legend(content.bar.map, content.bar.texts, content.bar.words) end
  local sheet = { name = own.line(options.title or self.name), about = content.about, lines = lines,
    content = page.column(boxes, BAR_SPACE) }
  local width, height, most = sheet.content.width, sheet.content.height, page.most
  if width > most or height > most then
    self:refuse("the sheet would have %d×%d pixels, and at most %d×%d can be drawn; take a smaller scale, other "
      .. "columns or fewer pictures", width, height, most, most)
  end
  page.save(path, sheet)
end

local ENDINGS <const> = { png = true, text = "\".png\"" }
local IMAGE <const>, IMAGES <const> = { name = "view.image", read = read, write = write, endings = ENDINGS },
  { name = "view.images", read = read, write = write, endings = ENDINGS }

local OPTIONS <const> = {
  scale = { type = "integer", min = 1, max = 1000, doc = "pixels of the side of a value; chosen when absent" },
  range = { type = "table", doc = "{low, high}: what is black, what is white; by default 0 and 255 for uint8, 0 and 1 "
    .. "where all are between, else the least and the largest, which the sheet then says" },
  signed = { type = "boolean", default = false, doc = "blue below 0, red above, on a symmetric scale" },
}

local IMAGE_OPTIONS <const> = check.spec("view.image", check.with(check.with(OPTIONS, own.options "image"), {
  labels = { type = { "string", "number" }, doc = "a text below the picture" },
}))
local IMAGES_OPTIONS <const> = check.spec("view.images", check.with(check.with(OPTIONS, own.options "images"), {
  labels = { type = { "table", "tensor" }, doc = "a list of texts or numbers, one below each picture" },
  columns = { type = "integer", min = 1, doc = "pictures in a row; chosen when absent" },
}))

local function view_of(kind, given, options, spec)
  options = check.options(kind.name, options, spec)
  options.range = own.range(kind.name, "range", options.range)
  local range = options.range
  for _, limit in ipairs(range or {}) do
    if math.abs(limit) > FARTHEST or limit ~= 0 and math.abs(limit) < 1 / FARTHEST then
      fail("%s: option 'range' is of numbers from %g to %g, got %g", kind.name, 1 / FARTHEST, FARTHEST, limit)
    end
  end
  if options.signed and range and range[1] ~= -range[2] then
    fail("%s: with signed = true the range is symmetric, {-1, 1}, so that 0 is its middle; got {%g, %g}", kind.name,
      range[1], range[2])
  end
  options.single = kind == IMAGE -- one picture, with one label
  return own.view(kind, given, options)
end

--- view.image(x), view.image(function(at) return x end): a picture of one's own, x a tensor {height, width} or {height,
-- width, 1 or 3}; a function is called at each evaluation, and its second result is a label. Of a tensor {count,
-- height, width, 1 or 3} it is a sheet, as view.images makes it. The prompt shows a picture that it is given.
-- @return a view
local function image(x, options)
  if is_tensor(x) and #x.shape == 4 then return view_of(IMAGES, x, options, IMAGES_OPTIONS) end
  return view_of(IMAGE, x, options, IMAGE_OPTIONS)
end

--- view.images(x), view.images(function(at) return x, labels end): a sheet of pictures of one's own, x a tensor {count,
-- height, width}, {count, height, width, 1 or 3}, or a list of tensors; a function is called at each evaluation.
-- @return a view
local function images(x, options)
  return view_of(IMAGES, x, options, IMAGES_OPTIONS)
end

return { image = image, images = images }
