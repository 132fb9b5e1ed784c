--- What `?name` shows at the prompt: the words of the reference about a public name, of its options and parameters.
-- @module sm.reference.words
local check = require "sm.check"
local collect = require "sm.reference.collect"
local in_words = require "sm.reference.text"
local text = require "sm.text"

local M = {}

local widest <const> = 100 -- columns of a line that is read
local most_listed <const> = 30

local entries, rooms -- of the reference: by their names; read when somebody asks first

local function read()
  if rooms then return end
  entries, rooms = {}, (collect.collect())
  for _, room in ipairs(rooms) do
    for _, entry in ipairs(room.entries) do
      local name = entry.name
      if room.operations then name = entry.signature:match "^([%w_.:]+)" or name end
      entries[#entries + 1] = { name = name, entry = entry, room = room }
    end
  end
end

--- Names for a person to choose from: "nn.conv2d", "x:softmax", "sm.cat".
function M.names()
  read()
  local names = {}
  for i, each in ipairs(entries) do names[i] = each.name end
  return names
end

--- The last part of a name: "conv2d" of "nn.conv2d".
local function last(name)
  return name:match "[%w_]+$" or name
end

--- What a name means: the entry of exactly this name, or those whose last part it is.
local function find(name)
  local exact, same = {}, {}
  for _, each in ipairs(entries) do
    local own = each.name:gsub("^sm%.", "")
    if each.name == name or own == name:gsub("^sm%.", "") then exact[#exact + 1] = each end
    if last(each.name) == last(name) then same[#same + 1] = each end
  end
  return #exact > 0 and exact or same
end

local function add_rows(lines, rows, columns)
  local width = 0
  for _, row in ipairs(rows) do width = math.max(width, text.width(row[1])) end
  width = math.min(width, columns // 3)
  for _, row in ipairs(rows) do
    local head = "  " .. text.padded(row[1], math.max(width, text.width(row[1])))
    local wrapped = text.wrap("·" .. row[2], columns - width - 4):sub(#"·" + 1)
    lines[#lines + 1] = head .. "  " .. wrapped:gsub("\n", "\n" .. (" "):rep(width + 4))
  end
end

--- The options of a function as rows: its name and default; what it takes and does.
local function add_options(lines, options, columns)
  for _, part in ipairs(options) do
    lines[#lines + 1] = ""
    lines[#lines + 1] = part.title and ("options of %s"):format(part.title) or "options"
    local rows = {}
    for _, option in ipairs(in_words.options(part.spec)) do
      local key = option.key .. (option.default and " = " .. option.default or "")
      local takes = option.takes ~= "" and " (" .. option.takes .. (option.required and "; needed" or "") .. ")" or ""
      rows[#rows + 1] = { key, option.doc .. takes }
    end
    add_rows(lines, rows, columns)
  end
end

--- Paragraphs of a comment, whose lines are broken anew.
local function add_words(lines, words, columns)
  local paragraph = {}
  local function close()
    if #paragraph > 0 then lines[#lines + 1] = text.wrap(table.concat(paragraph, " "), columns) end
    paragraph = {}
  end
  for _, line in ipairs(words) do
    if line:find "^%s*$" then
      close()
    elseif line:find "^%s" then
      close()
      lines[#lines + 1] = line
    else
      paragraph[#paragraph + 1] = line
    end
  end
  close()
end

local function described(each, columns)
  local entry, lines = each.entry, {}
  lines[1] = text.wrap(entry.signature or entry.name, columns, 4)
  add_words(lines, entry.words, columns)
  local rows = {}
  for _, tag in ipairs(entry.tags) do
    if tag.tag == "param" then
      local name, kind, words = in_words.parameter(tag.text)
      rows[#rows + 1] = { name, (words or "") .. (kind and " (" .. kind .. ")" or "") }
    elseif tag.tag == "return" then
      rows[#rows + 1] = { "gives", tag.text }
    end
  end
  if #rows > 0 then lines[#lines + 1] = "" end
  add_rows(lines, rows, columns)
  add_options(lines, entry.options, columns)
  if entry.gradient then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "It has " .. in_words.GRADIENT[entry.gradient] .. "."
  end
  return table.concat(lines, "\n")
end

--- What there is: the rooms, and the names of each.
local function overview(columns)
  local lines = { "?name shows what a name means, such as ?nn.conv2d or ?softmax. There are:" }
  for _, room in ipairs(rooms) do
    local names = {}
    for i, entry in ipairs(room.entries) do names[i] = last(entry.name) end
    lines[#lines + 1] = text.wrap(("%s: %s"):format(room.title, table.concat(names, ", ")), columns, 2)
  end
  return table.concat(lines, "\n")
end

--- The documentation of a name, in lines for a terminal.
--- @param name string "nn.conv2d", "x:softmax", "softmax"; "" asks what there is
function M.text(name, columns)
  read()
  columns = math.min(columns, widest)
  if name == "" then return overview(columns) end
  local found = find(name)
  local parts = {}
  for i, each in ipairs(found) do parts[i] = described(each, columns) end
  if #parts > 0 then return table.concat(parts, "\n\n") end
  local names, containing = M.names(), {}
  for _, each in ipairs(names) do
    if each:lower():find(last(name):lower(), 1, true) and #containing < most_listed then
      containing[#containing + 1] = each
    end
  end
  local short = {}
  for i, each in ipairs(names) do short[i] = last(each) end
  local hint = #containing > 0 and "; there are " .. table.concat(containing, ", ") or check.suggest(last(name), short)
  return text.wrap(("nothing public is called '%s'%s"):format(name, hint), columns)
end

return M
