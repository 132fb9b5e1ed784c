--- A person's own curves, points and bars: `view.plot(function(at) return { x = …, y = … } end)`.
-- @module sm.view.plot
local check = require "sm.check"
local fail = require "sm.fail"
local own = require "sm.view.own"
local attempt = require "sm.problem".attempt
local without_line = require "sm.place".without_line
local runtime = require "sm.runtime"
local text = require "sm.text"
local words = require "sm.view.words"

local is_tensor <const> = runtime.tensor.is_tensor
local STYLES <const> = { "line", "points", "bars" }
local MOST_SERIES <const>, MOST_POINTS <const> = 30, 100000

local SERIES <const> = check.spec("view.plot: series", {
  y = { type = { "table", "tensor" }, required = true, doc = "a list of numbers, or a tensor {count}" },
  x = { type = { "table", "tensor" }, doc = "as many; by default 1, 2, 3, …" },
  style = { type = "string", choices = STYLES, doc = "by default the plot's" },
  name = { type = "string", doc = "in the legend; by default its key" },
})

--- A list of numbers, which may be infinite or none, of a list or a tensor of rank 1.
-- @param what "y of 'train'"
local function numbers_of(self, given, what)
  local list
  if is_tensor(given) then
    if #given.shape ~= 1 then
      self:refuse("%s is a list of numbers or a tensor {count}, got %s", what, check.describe(given))
    end
    list = given:totable()
  else
    list = {}
    check.plain(self.kind, given)
    for i = 1, rawlen(given) do
      local value = rawget(given, i)
      if type(value) ~= "number" then
        self:refuse("%s is a list of numbers, but number %d is %s", what, i, check.describe(value))
      end
      list[i] = value + 0.0
    end
    for key in next, given do
      if math.type(key) ~= "integer" or key < 1 or key > #list then
        self:refuse("%s is a list of numbers, but it has the key %s", what, check.word(key))
      end
    end
  end
  if #list > MOST_POINTS then
    self:refuse("%s has %s numbers; at most %s are drawn", what, words.thousands(#list), words.thousands(MOST_POINTS))
  end
  return list
end

--- Whether a table is a list of numbers rather than of series.
local function is_list(given)
  return type(rawget(given, 1)) == "number"
end

--- One series.
-- @param name or nil
local function series_of(self, given, name)
  local label = name and ("'%s'"):format(own.line(name)) or "the series"
  if is_tensor(given) or type(given) == "table" and is_list(given) then given = { y = given } end
  if type(given) ~= "table" then
    self:refuse("%s is { x = …, y = … }, a list of numbers or a tensor {count}; got %s", label, check.describe(given))
  end
  local ok, series = attempt(check.options, "series", given, SERIES)
  if not ok then self:refuse("%s: %s", label, without_line(series)) end
  series.name = series.name or name
  series.y = numbers_of(self, series.y, "y of " .. label)
  series.style = series.style or self.options.style
  if series.x then
    series.x = numbers_of(self, series.x, "x of " .. label)
    if #series.x ~= #series.y then self:refuse("%s has %d x and %d y", label, #series.x, #series.y) end
  else
    series.x = {}
    for i = 1, #series.y do series.x[i] = i + 0.0 end
  end
  if series.style == "bars" and self.options.x_log then
    self:refuse("%s: bars stand on an axis without x_log", label)
  end
  return series
end

--- Everything that is drawn: {{name= or nil, x=, y=, style=}, …}, those of a list first, those with names in
-- alphabetical order.
local function read(self, given)
  if is_tensor(given) then return { series_of(self, given) } end
  if type(given) ~= "table" then
    self:refuse("expected { x = …, y = … }, several such series by name, a list of numbers or a tensor {count}; got %s",
      check.describe(given))
  end
  check.plain(self.kind, given)
  if is_list(given) or rawget(given, "y") ~= nil or rawget(given, "x") ~= nil then return { series_of(self, given) } end
  local list, names = {}, {}
  for i = 1, rawlen(given) do list[i] = series_of(self, rawget(given, i), rawlen(given) > 1 and tostring(i) or nil) end
  for key in next, given do
    if type(key) == "string" then
      names[#names + 1] = key
    elseif math.type(key) ~= "integer" or key < 1 or key > rawlen(given) then
      self:refuse("series have names or positions, got the key %s", check.word(key))
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do list[#list + 1] = series_of(self, given[name], name) end
  if #list > MOST_SERIES then self:refuse("a plot has at most %d series, got %d", MOST_SERIES, #list) end
  return list
end

local function figure(value)
  if value ~= value then return "nan" end -- printf shows a sign, which means nothing
  return ("%.9g"):format(value)
end

--- The numbers as CSV, all of them, also those that cannot be drawn.
-- @param step or nil
local function csv(list, step)
  local lines = { step and "step,series,x,y\n" or "series,x,y\n" }
  for _, series in ipairs(list) do
    local name = (step and ("%d,"):format(step) or "") .. text.csv(text.visible(series.name or ""))
    for i, y in ipairs(series.y) do lines[#lines + 1] = ("%s,%s,%s\n"):format(name, figure(series.x[i]), figure(y)) end
  end
  return table.concat(lines)
end

local function write(self, path, list, lines, step)
  if path:find "%.csv$" then return runtime.io.write_durably(path, csv(list)) end
  require "sm.view.plot_sheet".draw(path, { -- only a program that draws needs cairo
    name = own.line(self.options.title or self.name), lines = lines, series = list, options = self.options,
  })
  if step then runtime.io.write_durably(path:gsub("%.png$", "") .. ".csv", csv(list, step)) end
end

local KIND <const> = { name = "view.plot", read = read, write = write,
  endings = { png = true, csv = true, text = "\".png\" or \".csv\"" } }

local OPTIONS <const> = check.spec("view.plot", check.with(own.options "plot", {
  style = { type = "string", choices = STYLES, default = "line", doc = "of all series that do not say theirs" },
  x_axis = { type = "string", doc = "title of the axis" },
  y_axis = { type = "string", doc = "title of the axis" },
  x_log = { type = "boolean", default = false, doc = "a logarithmic axis, which has only numbers above 0" },
  y_log = { type = "boolean", default = false, doc = "a logarithmic axis, which has only numbers above 0" },
  x_range = { type = "table", doc = "{low, high}: what of the axis is shown; by default all" },
  y_range = { type = "table", doc = "{low, high}: what of the axis is shown; by default all" },
}))

--- view.plot { x = …, y = … }, view.plot(function(at) return { train = …, test = … } end): curves, points or bars of
-- one's own. A series is { x =, y = }, a list of numbers or a tensor {count}; several have names. A function is called
-- at each evaluation. The numbers stand in a CSV beside the picture. A line has a gap where a number is not finite.
-- @return a view
return function(series, options)
  options = check.options("view.plot", options, OPTIONS)
  for _, axis in ipairs { "x", "y" } do
    local name = axis .. "_range"
    options[name] = own.range("view.plot", name, options[name])
    if options[name] and options[axis .. "_log"] and options[name][1] <= 0 then
      fail("view.plot: option '%s' must begin above 0 on a logarithmic axis, got %g", name, options[name][1])
    end
  end
  return own.view(KIND, series, options)
end
