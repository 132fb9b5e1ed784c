--- library/: what lua-language-server knows of the library, a file for each room. Types come from records, which are
--- tried (trials.lua), from the rules of options, and from types.lua; words as in all of the reference.
local sm = require "sm"
local text = require "sm.reference.text"
local trials = require "docs.reference.trials"
local types = require "docs.reference.types"

local M = {}

local COLUMNS <const> = 118

-- Words ----------------------------------------------------------------------------------------------------------

--- Words as comments, broken at spaces; what is indented keeps its lines, as Markdown has it.
local function comment(out, words)
  local line = ""
  local function close()
    if line ~= "" then out[#out + 1] = "--- " .. line end
    line = ""
  end
  for _, given in ipairs(words) do
    if given:find "^%s%s+%S" then
      close()
      local kept = given:gsub("^%s+", "")
      out[#out + 1] = (#kept > COLUMNS - 8 and "--- " or "---     ") .. kept
    else
      for word in given:gmatch "%S+" do
        if line ~= "" and #line + 1 + #word > COLUMNS - 4 then close() end
        line = line == "" and word or line .. " " .. word
      end
      if not given:find "%S" then
        close()
        out[#out + 1] = "---"
      end
    end
  end
  close()
end

--- One line of words, for the end of a tag.
local function short(words)
  local line = (words or ""):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return line ~= "" and " " .. line or ""
end

local function fits(line) return #line <= COLUMNS end

--- A field, whose words stand above it where they are too many for its line.
local function add_field(out, field, takes, words)
  local tag = ("---@field %s %s"):format(field, takes)
  if fits(tag .. short(words)) then
    out[#out + 1] = tag .. short(words)
  else
    comment(out, { words })
    out[#out + 1] = tag
  end
end

-- Types ----------------------------------------------------------------------------------------------------------

local PLAIN <const> = { real = "number", tensor = "sm.Tensor" }

--- What a rule of check.options takes.
--- @param inner string|nil the class of a table that is taken
local function type_of(rule, inner)
  local kinds, list = type(rule.type) == "table" and rule.type or { rule.type }, {}
  for _, kind in ipairs(kinds) do
    if kind == "string" and rule.choices then
      for _, choice in ipairs(rule.choices) do list[#list + 1] = ('"%s"'):format(choice) end
    elseif kind == "table" and inner then
      list[#list + 1] = inner
    else
      list[#list + 1] = PLAIN[kind] or kind
    end
  end
  return #list > 0 and table.concat(list, "|") or "any"
end

--- Keys in the order in which they are shown: positions first.
local function keys_of(spec)
  local keys = {}
  for key in pairs(spec) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if math.type(a) ~= math.type(b) then return math.type(a) ~= nil end
    return a < b
  end)
  return keys
end

--- Whether a layer takes others in a row, or by name.
local function contained(name)
  local kind = name:match "^nn%.([%w_]+)$"
  if not kind or type(sm.nn[kind]) ~= "function" then return nil end
  if pcall(sm.nn[kind], { sm.nn.identity() }) then return "[integer]" end
  return pcall(sm.nn[kind], { a = sm.nn.identity() }) and "[string]" or nil
end

--- The classes of a function's tables of options; gives the name of the first.
local function option_classes(out, name, options)
  if #options == 0 then return nil end
  local names = {}
  for _, part in ipairs(options) do
    names[part.title or ""] = "sm.options." .. name:gsub("^sm%.", ""):gsub("[:]", ".")
      .. (part.title and "." .. part.title or "")
  end
  for _, part in ipairs(options) do
    out[#out + 1] = "---@class " .. names[part.title or ""]
    local holds = not part.title and not part.spec[1] and contained(name)
    if holds then out[#out + 1] = ("---@field %s sm.Layer the layers in it"):format(holds) end
    for _, key in ipairs(keys_of(part.spec)) do
      local rule = part.spec[key]
      local inner = names[(part.title and part.title .. "." or "") .. key]
      local takes = types.options[name .. "." .. key] or type_of(rule, inner)
      if not types.options[name .. "." .. key] and types.options[key] and (takes == "any" or takes:find "table"
        or takes:find "function") then
        takes = types.options[key]
      end
      local field = math.type(key) and ("[%d]"):format(key) or key .. (rule.required and "" or "?")
      if math.type(key) and not rule.required then takes = "(" .. takes .. ")?" end
      local default = text.value(rule.default)
      add_field(out, field, takes, (rule.doc or "") .. (default and (" (default: %s)"):format(default) or ""))
    end
    out[#out + 1] = ""
  end
  return names[""], options[1].spec
end

-- Functions ------------------------------------------------------------------------------------------------------

--- The parts of a list, at commas outside of brackets and quotes.
local function parts_of(list)
  local parts, depth, last, quoted = {}, 0, 1, false
  for at = 1, #list do
    local char = list:sub(at, at)
    if char == '"' then quoted = not quoted end
    if not quoted and char:find "[%(%[{<]" then depth = depth + 1 end
    if not quoted and char:find "[%)%]}>]" then depth = depth - 1 end
    if char == "," and depth == 0 and not quoted then parts[#parts + 1], last = list:sub(last, at - 1), at + 1 end
  end
  if list:find "%S" then parts[#parts + 1] = list:sub(last) end
  for i, part in ipairs(parts) do parts[i] = part:gsub("^%s+", ""):gsub("%s+$", "") end
  return parts
end

--- Reads "(a: number, b?: string): sm.Tensor, any".
--- @return table {generic=, parameters={{name=, optional=, type=}}, results={type, …}}
function M.read(signature)
  local generic, list, gives = signature:match "^(%b<>)(%b())(.*)$"
  if not generic then list, gives = signature:match "^(%b())(.*)$" end
  local parameters = {}
  for i, part in ipairs(parts_of(list:sub(2, -2))) do
    local name, optional, kind = part:match "^([%w_.]+)(%??):%s*(.*)$"
    parameters[i] = { name = name, optional = optional == "?", type = kind }
  end
  return { generic = generic, parameters = parameters, results = parts_of(gives:gsub("^:%s*", "")) }
end

--- What a function takes and gives.
local function signature_of(entry, record, class, spec)
  local given = record and trials.signature(record) or types.functions[entry.name]
  if not given then
    local gives = types.rooms[entry.name:match "^%l+"]
    if not gives or not class then error(entry.name .. ": docs/reference/types.lua does not say what it takes") end
    local needs, first = false, spec[1] and type_of(spec[1]) or contained(entry.name) == "[integer]" and "sm.Layer"
    for key, rule in pairs(spec) do
      needs = needs or rule.required
      if rule.required and key ~= 1 then first = nil end
    end
    local alone = first and not first:find "table" and "|" .. first or ""
    given = ("(options%s: OPTIONS%s): %s"):format(needs and "" or "?", alone, gives)
  end
  return (given:gsub("OPTIONS", class or "table"))
end

--- The words of @param tags by name, and of @return tags in order.
local function tag_words(entry)
  local parameters, results = {}, {}
  for _, tag in ipairs(entry.tags) do
    if tag.tag == "param" then
      local name, _, words = text.parameter(tag.text)
      parameters[name] = words
    elseif tag.tag == "return" then
      local _, words = text.typed(tag.text)
      results[#results + 1] = words
    end
  end
  return parameters, results
end

--- A function with its words.
--- @param place string what stands before its name: "sm.", "Tensor:"
local function add_function(out, entry, record, place)
  local options, spec = option_classes(out, entry.name, entry.options)
  local main = M.read(signature_of(entry, record, options, spec))
  local said, gives = tag_words(entry)
  local names, tags, above = {}, {}, { "`" .. (entry.signature or entry.name) .. "`", "", table.unpack(entry.words) }
  local function add(tag, mark, name, words) -- words that are too many for the tag's line go above all tags
    local whole = tag .. (words and mark .. short(words) or "")
    if not fits(whole) then table.move({ "", name .. ": " .. words }, 1, 2, #above + 1, above) end
    tags[#tags + 1] = fits(whole) and whole or tag
  end
  for i, parameter in ipairs(main.parameters) do
    names[i] = parameter.name
    add(("---@param %s%s %s"):format(parameter.name, parameter.optional and "?" or "", parameter.type), "",
      "`" .. parameter.name .. "`", said[parameter.name])
  end
  for i, result in ipairs(main.results) do add("---@return " .. result, " #", "returns", gives[i]) end
  comment(out, above)
  if main.generic then out[#out + 1] = "---@generic " .. main.generic:sub(2, -2) end
  table.move(tags, 1, #tags, #out + 1, out)
  out[#out + 1] = ("function %s%s(%s) end\n"):format(place, entry.name:match "[%w_]+$", table.concat(names, ", "))
end

-- Files ----------------------------------------------------------------------------------------------------------

local MADE <const> = "-- Made by `make docs` from the library's records, rules and comments; a test compares."
local NAMES <const> = { "tensor", "nn", "optim", "data", "view", "experiment" }
local ROOMS <const> = { nn = "layers, initialisers and whole models", optim = "optimizers and schedules",
  data = "data sets", view = "pictures", png = "PNG files" }

local function local_name(class) return class:match "([%w_]+)$" end

--- A class of types.lua: its words, fields and operators. Fields are assigned: LuaLS would ask for those of a @field in
--- every table that may be an object.
local function add_class(out, class)
  local own, assigned = local_name(class.name:match "^[%w_.]+"), {}
  comment(out, { class.words })
  out[#out + 1] = "---@class " .. class.name
  for _, field in ipairs(class.fields) do
    local name, kind = field[1], field[2]
    if name:find "^%[" then
      add_field(out, name, kind, field[3])
    else
      comment(assigned, { field[3] })
      assigned[#assigned + 1] = ("---@type %s\n%s.%s = nil\n"):format(kind, own, name)
    end
  end
  for _, operator in ipairs(class.operators or {}) do out[#out + 1] = "---@operator " .. operator end
  if class.overload then out[#out + 1] = "---@overload " .. class.overload end
  out[#out + 1] = ("local %s = {}\n"):format(own)
  table.move(assigned, 1, #assigned, #out + 1, out)
end

local function add_room(out, name, words)
  comment(out, { words })
  out[#out + 1] = "---@class sm." .. name
  if name == "nn" then out[#out + 1] = "---@field init sm.nn.init what weights begin with" end
  out[#out + 1] = ("local %s = {}\n"):format(name:gsub("^nn%.", ""))
end

--- Where a function stands: its file, and what comes before its name.
local function place_of(entry, record)
  if record then
    if record.call then return "sm", "sm." end
    return "tensor", "Tensor:"
  end
  local of, method = entry.name:match "^(%l+):(.*)$"
  if method then
    local class = types.methods[of]
    for _, one in ipairs(types.classes) do
      if one.name == class then return one.file, local_name(class) .. ":" end
    end
  end
  if entry.name:find "^nn%.init%." then return "nn", "init." end
  local room = entry.name:match "^(%l+)%."
  return room == "png" and "sm" or room, room .. "."
end

--- The text of every file, by its path.
--- @param rooms as sm.reference.collect gives them
function M.files(rooms)
  local outs, records = { sm = {} }, {}
  for _, record in ipairs(require "sm.ops.records") do records[record.name] = record end
  for _, name in ipairs(NAMES) do outs[name] = {} end
  local top = outs.sm
  for _, alias in ipairs(types.aliases) do top[#top + 1] = ("---@alias %s %s"):format(alias[1], alias[2]) end
  top[#top + 1] = ""
  comment(top, { "smrun: train a network that one Lua file describes." })
  top[#top + 1] = "---@class sm"
  for _, name in ipairs(keys_of(ROOMS)) do top[#top + 1] = ("---@field %s sm.%s %s"):format(name, name, ROOMS[name]) end
  top[#top + 1] = "---@field version string of the library"
  top[#top + 1] = "local sm = {}\n"
  add_room(top, "png", "PNG files.")
  for _, name in ipairs { "nn", "optim", "data", "view" } do
    if name == "nn" then add_room(outs.nn, "nn.init", "What weights begin with.") end
    add_room(outs[name], name, "sm." .. name .. ": " .. ROOMS[name] .. ".")
  end
  for _, class in ipairs(types.classes) do add_class(outs[class.file], class) end
  for _, room in ipairs(rooms) do
    for _, entry in ipairs(room.entries) do
      local record = room.operations and records[entry.name] or nil
      local file, place = place_of(entry, record)
      add_function(outs[file], entry, record, place)
    end
  end
  local texts = {}
  for name, out in pairs(outs) do
    local module = name == "sm" and "sm" or ROOMS[name] and "sm." .. name
    local lines = { module and "---@meta " .. module or "---@meta", MADE, "" }
    table.move(out, 1, #out, #lines + 1, lines)
    if module then lines[#lines + 1] = "return " .. name end
    texts[name == "sm" and "library/sm.lua" or "library/sm/" .. name .. ".lua"] = table.concat(lines, "\n") .. "\n"
  end
  return texts
end

return M
