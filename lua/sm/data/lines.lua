--- The rows of a CSV file, as RFC 4180 has it: commas, quotes around what has commas, quotes or line ends in it.
-- @module sm.data.lines
local fail = require "sm.fail"
local brief = require "sm.text".brief

local M = {}

local BOM <const> = "\xEF\xBB\xBF"

--- The cell that begins with a quote at `from`.
-- @return its text, where what follows it begins, how many lines it goes over
local function quoted(path, line, text, from)
  local parts, at = {}, from + 1
  while true do
    local quote = text:find('"', at, true)
    if not quote then fail("%s, line %d: a quote is not closed", path, line) end
    parts[#parts + 1] = text:sub(at, quote - 1)
    if text:sub(quote + 1, quote + 1) ~= '"' then
      local cell = table.concat(parts)
      return cell, quote + 1, select(2, cell:gsub("\n", "\n"))
    end
    parts[#parts + 1] = '"'
    at = quote + 2
  end
end

--- Calls visit(cells, line) for every row; `line` is the one on which it begins. Lines end in LF or CRLF. The array of
-- cells is new each time.
-- @param separator one character
function M.each(path, text, separator, visit)
  local at, line, last = text:sub(1, #BOM) == BOM and #BOM + 1 or 1, 1, #text
  local until_end = "^([^\r\n" .. (separator == "^" and "%^" or "%" .. separator) .. "]*)()"
  while at <= last do
    local cells, begins = {}, line
    repeat
      local cell
      if text:sub(at, at) == '"' then
        local lines
        cell, at, lines = quoted(path, line, text, at)
        line = line + lines
      else
        cell, at = text:match(until_end, at)
        if cell:find('"', 1, true) then
          fail("%s, line %d: a quote within a cell that does not begin with one: '%s'", path, line, brief(cell))
        end
      end
      cells[#cells + 1] = cell
      local more = text:sub(at, at) == separator
      if more then at = at + 1 end
    until not more
    if at <= last then
      local next_line = text:match("^\r?\n()", at)
      if not next_line then
        local rest = text:match("^[^\r\n]+", at)
        fail("%s, line %d: %s follows a cell, where a separator or a line end should", path, line,
          rest and ("'%s'"):format(brief(rest)) or "a lone carriage return")
      end
      at, line = next_line, line + 1
    end
    visit(cells, begins)
  end
end

return M
