--- What may be wrong where Lua's parser gives up: it names the place where it noticed, not the one to mend.
local M = {}

--- Words and signs that cannot begin an element of a table: before them no comma is missing.
local no_value = {}
for word in ("and break do else elseif end for goto if in local or repeat return then until while = ] ) } , ; <eof>")
  :gmatch "%S+" do
  no_value[word] = true
end

--- The lines of a file; nil where it cannot be read.
local function lines_of(path)
  local file <close> = io.open(path, "rb")
  local text = file and file:read "a"
  if not text then return nil end
  local lines = {}
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

--- The last line above this one with something on it but a comment.
local function line_above(lines, number)
  repeat number = number - 1 until number < 1 or not lines[number]:find "^%s*$" and not lines[number]:find "^%s*%-%-"
  return number >= 1 and number or nil
end

--- What other languages write, by the sign at which Lua's parser gives up.
local elsewhere <const> = {
  ["!"] = "not equal is ~=, and negation is not", ["+"] = "there is no += and no ++: write x = x + 1",
  ["-"] = "there is no -=: write x = x - 1", ["&"] = "&& is and", ["|"] = "|| is or",
  ["?"] = "there is no a ? b : c: write a and b or c", ["*"] = "a power is x ^ 2, and there is no *=",
  ["{"] = "a block has no braces: if … then … end, while … do … end, function f() … end",
}

--- Whether the line that a message names begins as an import does.
local function imports(message)
  local path, number = message:match "([^\n\t]+):(%d+): "
  local lines = lines_of(path)
  local line = lines and lines[math.tointeger(number)] or ""
  return line:find "^%s*import%s" or line:find "^%s*from%s+[%w_.]+%s+import%s"
end

--- The end of a message about what is no Lua, but would be elsewhere; nil for any other.
local function foreign(message)
  if message:find "^[^\n]*: attempt to call a table value %(for iterator" then
    return "; a list is gone through by `for i, value in ipairs(list)`, a table by `for name, value in pairs(table)`"
  end
  if message:find "^[^\n]*: attempt to %a+ a boolean value %(local" then
    return "; a module that does not `return` anything is true"
  end
  local name = message:match "^[^\n]*: bad argument #%d+ to '(%a+)' %(number expected, got symbol of sm%.pointwise%)"
    or message:match "^[^\n]*: bad argument #%d+ to '(%a+)' %(number expected, got sm%.tensor%)"
  if name and rawget(require "sm.tensor".methods, name) then
    return ("; of a tensor it is a method, x:%s()"):format(name)
  elseif message:find "^[^\n]*: bad argument #%d+ to '%a+' %(number expected, got sm%.tensor%)" then
    return "; the number in a tensor of one element is x:item()"
  end
  if message:find "^[^\n]*:%d+: syntax error near '[%a_][%w_]*'$" and imports(message) then
    return "; in Lua a module is taken by `local sm = require \"sm\"`"
  end
  local problem, sign = message:match "^[^\n]*:%d+: ([^\n]-) near '(.)'$"
  local braces = problem == "'then' expected" or problem == "'do' expected"
  if not elsewhere[sign] or not (braces or problem == "unexpected symbol" or problem == "syntax error"
    or problem == "<eof> expected") then return nil end
  return ("; in Lua %s"):format(elsewhere[sign])
end

--- The end of a message about a table or a list of arguments that does not end where Lua expects it, or about what
--- other languages write; "" for any other.
--- @param message string an error of load; the search in it takes the square of its length
function M.hint(message)
  local of_others = foreign(message)
  if of_others then return of_others end
  local path, number, near = message:match "([^\n\t]+):(%d+): '[})]' expected[^\n]* near ([^\n]+)$"
  near = near and near:gsub("^'(.*)'$", "%1")
  if not near or no_value[near] then return "" end
  local lines = lines_of(path)
  local line = lines and lines[math.tointeger(number)] or ""
  local above = line:match "^%s*(.*)":sub(1, #near) == near and line_above(lines, math.tointeger(number))
  if above then return ("; a comma may be missing at the end of line %d"):format(above) end
  return ("; a comma may be missing before '%s'"):format(near)
end

--- The message about a text that is neither an expression nor statements: of the two that Lua has, that which is about
--- what came later.
--- @param text string
--- @param of_expression string the error of "return " .. text
--- @param of_text string that of the text
function M.of_either(text, of_expression, of_text)
  local near = of_text:match "near '([^\n]+)'$"
  return near and text:match "^%s*(.*)":sub(1, #near) == near and of_expression or of_text
end

return M
