--- Text for people: what cannot be seen made visible, and lines laid out by the columns that they take.
-- A width is in columns of a terminal: Chinese characters take two, combining ones none.
-- @module sm.text
local M = {}

local usual_columns <const> = 80

--- Colours and weights of ECMA-48, which take no column. Only the library writes them: `visible` leaves none of others.
local style <const> = "\27%[[%d;]*m"

local short = { [7] = "\\a", [8] = "\\b", [9] = "\\t", [10] = "\\n", [11] = "\\v", [12] = "\\f", [13] = "\\r" }

--- Characters that show nothing and change what stands around them: they turn text about, break lines, or hide. From
--- one code point to another.
local hidden <const> = {
  { 0x00, 0x1F }, { 0x7F, 0x9F }, { 0xAD, 0xAD }, { 0x34F, 0x34F }, { 0x61C, 0x61C }, { 0x115F, 0x1160 },
  { 0x17B4, 0x17B5 }, { 0x180E, 0x180E }, { 0x200B, 0x200B }, { 0x200E, 0x200F }, { 0x2028, 0x202E },
  { 0x2060, 0x206F }, { 0x3164, 0x3164 }, { 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF9, 0xFFFB },
  { 0x1D173, 0x1D17A }, { 0xE0000, 0xE00FF }, { 0xE01F0, 0xE0FFF },
}
local joiners <const> = { [0x200C] = true, [0x200D] = true } -- of scripts other than Latin, and of pictures

local function is_hidden(code)
  for _, range in ipairs(hidden) do
    if code <= range[2] then return code >= range[1] end
  end
  return false
end

--- Characters beyond ASCII that a text may have as they are, whatever stands around them.
local plain <const> = setmetatable({}, { __index = function(known, part)
  local code = utf8.len(part) == 1 and utf8.codepoint(part)
  local is_plain = code and code >= 0x80 and not is_hidden(code) and not joiners[code] or false
  if code then known[part] = is_plain end
  return is_plain
end })

--- Whether a character of a text is none of ASCII.
local function is_foreign(text, at)
  return (text:byte(at) or 0) >= 0x80
end

--- A text in which every control character, mark of direction and byte that is no UTF-8 is written as in a Lua string:
--- `\27`, `\n`, `\u{202E}`.
--- @param text string
--- @param kept string|nil characters that stay as they are: "\n\t" in messages of several lines
function M.visible(text, kept)
  if not text:find "[\0-\31\127-\255]" then return text end
  return (text:gsub("()([\0-\31\127-\255][\128-\191]*)()", function(first, part, after)
    if plain[part] or kept and kept:find(part, 1, true) then return part end
    if utf8.len(part) ~= 1 then
      return (part:gsub("[\0-\31\127-\255]", function(byte)
        return short[byte:byte()] or ("\\%d"):format(byte:byte())
      end))
    end
    local code = utf8.codepoint(part)
    local joins = joiners[code] and is_foreign(text, first - 1) and is_foreign(text, after)
    if not is_hidden(code) and (joins or not joiners[code]) then return part end
    return short[code] or (code < 0x80 and "\\%d" or "\\u{%X}"):format(code)
  end))
end

--- Writes a line to standard output, with nothing in it of others' that a terminal would obey.
function M.print(words)
  io.stdout:write(M.visible(words, "\n\t"), "\n")
  io.stdout:flush()
end

--- A cell of a CSV file (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe in front; a
--- number, negative ones too, stays as it is.
function M.csv(cell)
  if cell:find "^[=+@\t\r-]" and not tonumber(cell) then cell = "'" .. cell end
  if not cell:find '[",\r\n]' then return cell end
  return '"' .. cell:gsub('"', '""') .. '"'
end

local most_quoted <const> = 100

--- What a message quotes of a name that may be endless: all of it, or its beginning and "…".
--- @param most integer|nil bytes that are no more than a name; 100 by default
function M.brief(text, most)
  most = most or most_quoted
  if #text <= most then return text end
  return text:sub(1, most):gsub("[\192-\255][\128-\191]*$", "") .. "…"
end

local most_names <const> = 4

--- A list of names, which may be long: conv1.weight, conv1.bias, linear1.weight, linear1.bias and 3 more
function M.few(names)
  local first = table.concat(names, ", ", 1, math.min(#names, most_names))
  return #names > most_names and ("%s and %d more"):format(first, #names - most_names) or first
end

--- runtime.system; nil where the runtime cannot be loaded, which is said by a message like any other.
local function system()
  local loaded, runtime = pcall(require, "sm.runtime")
  return loaded and runtime.system or nil
end

--- The columns that characters beyond ASCII take; bytes that are none take one each.
local widths <const> = setmetatable({}, { __index = function(known, character)
  local code = utf8.len(character) == 1 and utf8.codepoint(character)
  if not code then return #character end
  local of_system = system()
  known[character] = of_system and of_system.width(code) or 1
  return known[character]
end })

--- The columns that a line takes.
function M.width(text)
  if text:find("\27", 1, true) then text = text:gsub(style, "") end
  local total = #text
  for character in text:gmatch "[\192-\255][\128-\191]*" do total = total - #character + widths[character] end
  return total
end

--- The beginning of a line, ending in "…" where not all of it fits.
--- @param columns integer
function M.clip(text, columns)
  if M.width(text) <= columns then return text end
  local parts, total = {}, 0
  for character in text:gmatch "[\0-\127\192-\255][\128-\191]*" do
    local width = character:byte() < 0x80 and #character or widths[character]
    if total + width > columns - 1 then break end
    parts[#parts + 1], total = character, total + width
  end
  return columns > 0 and table.concat(parts) .. "…" or ""
end

--- A text filled up with spaces to so many columns.
--- @param right boolean|nil whether the text goes to the right end
function M.padded(text, columns, right)
  local gap = (" "):rep(columns - M.width(text))
  return right and gap .. text or text .. gap
end

--- The shortest text that reads back as the same value: 0.001, 4, true, relu.
--- @param value number|boolean|string
--- @return string
function M.shortest(value)
  if math.type(value) ~= "float" then return tostring(value) end
  for digits = 15, 17 do
    local shortest = ("%." .. digits .. "g"):format(value)
    if tonumber(shortest) == value then return shortest end
  end
end

--- Sizes of a window: "2×3", "3" for one.
function M.sizes(list) return table.concat(list, "×") end

--- The same, with one number for equal ones: "2", "2×3".
function M.short_sizes(list)
  for _, size in ipairs(list) do
    if size ~= list[1] then return M.sizes(list) end
  end
  return ("%d"):format(list[1])
end

--- A shape as messages show it: {28, 28, 1}.
--- @param shape table; that of several tensors, a table of shapes, is "several tensors"
--- @param batch string|nil what stands before it, "N" for the shape of one example: {N, 28, 28, 1}
function M.shape(shape, batch)
  local _, first = next(shape)
  if type(first) == "table" then return "several tensors" end
  return ("{%s%s}"):format(batch and batch .. (#shape > 0 and ", " or "") or "", table.concat(shape, ", "))
end

local joint <const> = "\0" -- for a space where no line breaks

--- Spaces where a line does not break: within {28, 28, 1}, between a number and its unit, a figure and its number.
local function joined(line)
  line = line:gsub("{[%w, ]+}", function(shape) return (shape:gsub(" ", joint)) end)
  local kept = "%1" .. joint .. "%2"
  return (line:gsub("(%d) (%%)", kept):gsub("(%d) (m?s)%f[^%w]", kept):gsub("(%d) ([MGT]B)%f[^%w]", kept)
    :gsub("(  [%a_][%w_]*) (%-?[%din])", kept))
end

--- One line broken at spaces.
local function wrap_line(line, columns, indent)
  local lines, current, width = {}, "", 0
  for gap, word in joined(line):gmatch "(%s*)(%S+)" do
    word = word:gsub(joint, " ")
    local wide = M.width(word)
    if width > 0 and width + #gap + wide > columns and wide + #indent <= columns then
      lines[#lines + 1] = current
      current, width = indent .. word, #indent + wide
    else
      current, width = current .. gap .. word, width + #gap + wide
    end
  end
  lines[#lines + 1] = current
  return table.concat(lines, "\n")
end

--- Lines broken at spaces, so that none is wider than so many columns. A longer word stays whole, and so does a line
--- that begins with a space: a row of a table, a command to copy.
--- @param columns integer
--- @param indent integer|nil spaces before what a broken line goes on with
function M.wrap(text, columns, indent)
  local hanging = (" "):rep(indent or 0)
  return (text:gsub("[^\n]+", function(line)
    return line:sub(1, 1) ~= " " and M.width(line) > columns and wrap_line(line, columns, hanging) or nil
  end))
end

--- The columns of the terminal that an open file is, which standard output must be as well; nil elsewhere.
--- @param descriptor integer 1 or 2
function M.terminal(descriptor)
  local known = system()
  return known and known.is_terminal(descriptor) and known.columns() or nil
end

local assumed -- columns, in a process whose output another one shows

--- From now on a terminal has so many columns.
--- @param columns integer
function M.assume(columns)
  assumed = columns
end

--- The width of the terminal on standard output; 80 where there is none.
function M.columns()
  return assumed or M.terminal(1) or usual_columns
end

return M
