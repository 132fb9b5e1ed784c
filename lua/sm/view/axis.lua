--- The scale of an axis: from numbers to 0 … 1, and where its marks are.
-- @module sm.view.axis
local thousands = require "sm.numbers".thousands

local M = {}

local MARKS <const> = 5            -- roughly
local MOST_DECADES <const> = 8     -- marked one by one
local NARROWEST <const> = 1e-9     -- range as a share of its numbers: closer ones could not be told apart
local SMALLEST <const>, LARGEST <const> = 1e-307, 1e308 -- that a power of ten reaches

--- A number beside a mark: 0.05, 1,000, 1e6.
-- @param step from one mark to the next, which says how many digits there are to see
local function figure(value, step)
  if value == 0 then return "0" end
  local size, decimals = math.abs(value), -math.floor(math.log(step, 10) + 1e-9)
  local written
  if size >= 1e6 or size < 1e-4 then
    local digits = math.max(0, math.floor(math.log(size, 10) + 1e-9) + decimals)
    written = ("%." .. math.min(15, digits) .. "e"):format(value):gsub("e%+0*", "e"):gsub("e%-0*", "e-"):gsub("e$", "")
  elseif decimals > 0 then
    written = ("%." .. math.min(15, decimals) .. "f"):format(value)
  else
    written = thousands(math.floor(value + 0.5))
  end
  return (written:gsub("%-", "−"))
end

--- The largest of 1, 2 and 5 times a power of ten that is at most x, or about.
local function nice(x)
  local power = 10.0 ^ math.floor(math.log(x, 10))
  local share = x / power
  return (share < 1.5 and 1 or share < 3.5 and 2 or share < 7.5 and 5 or 10) * power
end

--- Whether a number can be drawn.
function M.fits(value, log)
  return value == value and math.abs(value) <= 1e300 and (not log or value > 0)
end

local function linear_marks(low, high)
  local step, marks = nice((high - low) / MARKS), {}
  for k = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) do
    marks[#marks + 1] = { at = k * step, text = figure(k * step, step) }
  end
  return marks
end

local function decade_marks(low, high)
  local first, last = math.ceil(math.log(low, 10) - 1e-9), math.floor(math.log(high, 10) + 1e-9)
  local stride = math.max(1, math.ceil((last - first + 1) / MOST_DECADES))
  local factors, marks = last - first < 2 and { 1, 2, 5 } or { 1 }, {}
  for k = first - 1, last, stride do
    for _, factor in ipairs(factors) do
      local at = factor * 10.0 ^ k
      if at >= low * (1 - 1e-9) and at <= high * (1 + 1e-9) then
        marks[#marks + 1] = { at = at, text = figure(at, 10.0 ^ k) }
      end
    end
  end
  return #marks > 1 and marks or linear_marks(low, high)
end

--- An axis.
-- @param low, high numbers that can be drawn; nil where there is none
-- @param options {log=, margin= share of the range that is left at each end, range= {low, high} instead of all this}
-- @return {low=, high=, place= function(value) → 0 … 1, marks= {{at=, text=}, …}}
function M.new(low, high, options)
  local log = options.log
  if options.range then
    low, high = options.range[1], options.range[2]
  elseif not low then
    low, high = log and 1 or 0, log and 10 or 1
  end
  local from, to = low, high
  if log then from, to = math.log(low), math.log(high) end
  local least = NARROWEST * math.max(math.abs(from), math.abs(to))
  if to - from <= least then
    local more = log and 0.5 or (from == 0 and 1 or math.abs(from) * 0.1)
    from, to = from - more, to + more
  elseif not options.range then
    local margin = options.margin * (to - from)
    from, to = from - margin, to + margin
  end
  local axis = { low = from, high = to }
  if log then axis.low, axis.high = math.max(math.exp(from), SMALLEST), math.min(math.exp(to), LARGEST) end
  function axis.place(value)
    return ((log and math.log(value) or value) - from) / (to - from)
  end
  axis.marks = (log and decade_marks or linear_marks)(axis.low, axis.high)
  return axis
end

return M
