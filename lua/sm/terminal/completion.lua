--- What the Tab key may add to a line that is being typed: names, fields, methods, paths of layers, files.
-- @module sm.terminal.completion
local lfs = require "lfs"
local check = require "sm.check"
local keywords = require "sm.terminal.values".keywords
local ordered = require "sm.ordered"
local tree = require "sm.nn.tree"
local text = require "sm.text"

local M = {}

local most_shown <const> = 200 -- names below the line
local most_inserted <const> = 200 -- bytes
local most_steps <const> = 20  -- of the metatables of a value

--- The quotation mark that is open where the text ends, and where it begins; nil where none is.
local function open_quote(words)
  local at, quote, first = 1, nil, nil
  while at <= #words do
    local c = words:sub(at, at)
    if quote then
      if c == "\\" then at = at + 1 elseif c == quote then quote = nil end
    elseif c == '"' or c == "'" then
      quote, first = c, at
    elseif words:find("^%-%-", at) then
      return "--", at
    end
    at = at + 1
  end
  return quote, first
end

--- The fields of a value that can be looked up without running anything of its own.
local function field_of(value, key)
  for _ = 1, most_steps do
    local kind = type(value)
    if kind == "table" then
      value = check.behind[value] or value
      local own = rawget(value, key)
      if own ~= nil then return own end
    elseif require "sm".is_tensor(value) then
      return require "sm.tensor".methods[key] or (key == "grad" and value.grad or nil)
    elseif kind == "string" then
      return string[key]
    end
    local meta = debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
    if type(value) ~= "table" then return nil end
  end
end

--- Visits the names that a value has, of fields and of methods.
local function each_field(value, visit)
  if require "sm".is_tensor(value) then
    for name, f in pairs(require "sm.tensor".methods) do visit(name, f) end
    for _, name in ipairs { "shape", "dtype", "grad" } do visit(name, false) end
    return
  elseif type(value) == "string" then
    for name, f in pairs(string) do visit(name, f) end
    return
  end
  if ordered.is(value) then
    for _, name in ipairs(ordered.keys(value)) do visit(name, rawget(value, name)) end
    return
  end
  for _ = 1, most_steps do
    if type(value) ~= "table" then return end
    local class
    for _, known in pairs(check.classes) do
      if known.class == value then class = known end
    end
    if class then
      for _, name in ipairs(class.names) do visit(name, class.class[name]) end
    else
      local behind = check.behind[value] or value
      for name, field in next, behind do
        if type(name) == "string" then visit(name, field) end
      end
    end
    local meta = debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
end

local function is_name(word)
  return word:find "^[%a_][%w_]*$" ~= nil
end

--- @param given table names
--- @return table those that begin with a text, sorted, each once
local function beginning(given, start)
  local seen, found = {}, {}
  for _, name in ipairs(given) do
    if not seen[name] and name:sub(1, #start) == start then
      seen[name], found[#found + 1] = true, name
    end
  end
  table.sort(found)
  return found
end

--- The files that a path begins: those of a directory have a slash behind them.
local function files(start)
  local directory, name = start:match "^(.*/)([^/]*)$"
  name = name or start
  local place = directory or "."
  local found = {}
  local ok, iterator, handle = pcall(lfs.dir, place)
  if not ok then return found end
  for entry in iterator, handle do
    local hidden = entry:sub(1, 1) == "." and (name == "" or entry == "." or entry == "..")
    if entry:sub(1, #name) == name and not hidden and text.visible(entry) == entry then
      local is_directory = lfs.attributes(place .. "/" .. entry, "mode") == "directory"
      found[#found + 1] = (directory or "") .. entry .. (is_directory and "/" or "")
    end
  end
  table.sort(found)
  return found
end

--- The value that "model.encoder" names; nil where there is none yet.
local function value_of(words, global)
  local value
  for name in words:gmatch "[^.:]+" do
    if value == nil then value = global(name) else value = field_of(value, name) end
    if value == nil then return nil end
  end
  return value
end

local function layers_of(model)
  local paths = {}
  if not tree.is(model) then return paths end
  pcall(tree.walk, model, function(_, path)
    if path ~= "" then paths[#paths + 1] = path end
  end)
  return paths
end

--- Of a text between quotation marks: paths of layers as an argument of x:layer, else files.
local function within_quotes(before, start, global)
  local of = before:match "([%a_][%w_.]*):layer%s*%(?%s*$"
  if of then return beginning(layers_of(value_of(of, global)), start), start end
  return files(start), start
end

--- The names that may stand where a line ends.
--- @param line string what stands before the cursor
--- @param scope table {get=function(name) → the value of a global without an error, names=function() → all their names,
---   documented=function() → names for ?}
--- @return table the whole words, sorted
--- @return string the part that is typed already
--- @return string|nil what follows a word that is whole: a quotation mark
function M.candidates(line, scope)
  local asked = line:match "^%s*%?%s*(.*)$"
  if asked then return beginning(scope.documented(), asked), asked end
  local quote, first = open_quote(line)
  if quote == "--" then return {}, "" end
  if quote then
    local found, start = within_quotes(line:sub(1, first - 1), line:sub(first + 1), scope.get)
    return found, start, quote
  end
  local chain = line:match "[%a_][%w_.:]*$" or ""
  local base, separator, start = chain:match "^(.*)([.:])([%w_]*)$"
  if not base then
    local names = scope.names()
    table.move(keywords, 1, #keywords, #names + 1, names)
    return beginning(names, chain), chain
  end
  local value, names = value_of(base, scope.get), {}
  if value == nil then return {}, start end
  each_field(value, function(name, field)
    local suits = separator == "." or check.is_callable(field)
    if is_name(name) and suits and not name:find "^__" then names[#names + 1] = name end
  end)
  return beginning(names, start), start
end

--- What the words have in common at their beginning.
local function common(words)
  local shared = words[1] or ""
  for _, word in ipairs(words) do
    while word:sub(1, #shared) ~= shared do shared = shared:sub(1, -2) end
  end
  while #shared > 0 and not utf8.len(shared) do shared = shared:sub(1, -2) end
  return shared
end

--- Names in columns.
local function listed(words, columns)
  local width, shown = 0, {}
  for i = 1, math.min(#words, most_shown) do
    shown[i] = text.visible(words[i])
    width = math.max(width, text.width(shown[i]) + 2)
  end
  local across = math.max(1, columns // width)
  local down = math.ceil(#shown / across)
  local lines = {}
  for row = 1, down do
    local cells = {}
    for i = row, #shown, down do cells[#cells + 1] = text.padded(shown[i], width) end
    lines[row] = table.concat(cells):gsub("%s+$", "")
  end
  if #words > most_shown then lines[#lines + 1] = ("and %d more"):format(#words - most_shown) end
  return table.concat(lines, "\n")
end

--- Whether a text may be put into a line: names are a script's own, and as long as it likes.
local function can_be_typed(words)
  return #words < most_inserted and text.visible(words) == words
end

--- What Tab does: @return string|nil what to insert
--- @return string|nil what to show below the line
function M.complete(line, scope, columns)
  local words, start, quote = M.candidates(line, scope)
  if #words == 0 then return nil, nil end
  local inserted = common(words):sub(#start + 1)
  if #words == 1 then
    if quote and not words[1]:find "/$" then inserted = inserted .. quote end
    if can_be_typed(inserted) then return inserted, nil end
  end
  if inserted ~= "" and can_be_typed(inserted) then return inserted, nil end
  return nil, listed(words, columns)
end

return M
