--- smrun --complete SHELL LINE PIECE: what may follow what has been typed, for the scripts in runtime/host/completion.
--- LINE ends where the cursor is; PIECE is the end of it that the shell puts a candidate in place of. A line each, for
--- zsh and fish with a tab and a few words behind it.
-- @module sm.cli.complete
local help = require "sm.cli.help"
local lfs = require "lfs"
local line = require "sm.cli.line"
local options = require "sm.cli.options"
local sorted_keys = require "sm.ordered".sorted_keys
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local most_entries <const>, most_runs <const> = 3000, 200 -- that are looked at in directories; that are shown as a list
local deepest <const> = 3 -- levels of directories in which runs are looked for
local longest <const> = 60 -- bytes of what is said of a candidate

-- Paths ----------------------------------------------------------------------------------------------------------

--- The path that a shell would make of a word: "~" is the home directory.
local function expanded(path)
  local home = path:find "^~/" and os.getenv "HOME"
  return home and home .. path:sub(2) or path
end

local function mode(path)
  return lfs.attributes(expanded(path), "mode")
end

--- The names in a directory that begin so; hidden ones where a dot is what they begin with.
local function names_in(directory, beginning)
  local names, hidden = {}, beginning:sub(1, 1) == "."
  local listed, iterate, handle = pcall(lfs.dir, expanded(directory))
  if not listed then return names end
  for name in iterate, handle do
    local shown = name ~= "." and name ~= ".." and (hidden or name:sub(1, 1) ~= ".")
    if shown and name:sub(1, #beginning) == beginning then names[#names + 1] = name end
    if #names == most_entries then break end
  end
  table.sort(names)
  return names
end

--- Paths that begin with a word: directories, with a slash at their end, and files whose name ends in `ending`.
--- @param ending string|nil without it, directories alone
local function paths(word, ending)
  local before, typed = word:match "^(.*/)([^/]*)$"
  before, typed = before or "", typed or word
  local found = {}
  for _, name in ipairs(names_in(before == "" and "." or before, typed)) do
    local is = mode(before .. name)
    if before == "" and name:sub(1, 1) == "-" then is = nil end -- it would be an option
    if is == "directory" then found[#found + 1] = { before .. name .. "/" }
    elseif is and ending and name:sub(#name - #ending + 1) == ending then found[#found + 1] = { before .. name } end
  end
  return found
end

--- Calls visit(path, state) for each run below a directory; gives whether there is one.
local function each_run(directory, depth, walk, visit)
  local any = false
  for _, name in ipairs(names_in(directory, "")) do
    local path = directory == "." and name or directory:gsub("(.)/$", "%1") .. "/" .. name
    walk.left = walk.left - 1
    if walk.left < 0 then return any end
    if mode(path .. "/experiment.lua") then
      any = true
      visit(path, mode(path .. "/summary.json") and "finished" or "not finished")
    elseif depth > 1 and mode(path) == "directory" then
      local place = walk.place(path)
      local inner = each_run(path, depth - 1, walk, visit)
      if inner then place() end
      any = any or inner
    end
  end
  return any
end

--- Run directories: those below the directory of runs, or the one that is typed. Many, or none, are shown by the
--- directory.
--- @param groups boolean whether a directory that has some below is one, too
local function runs(word, given, groups)
  local root = (given.runs or "runs"):gsub("(.)/+$", "%1")
  local typed = word:match "^(.*)/"
  local from = typed ~= nil and typed ~= "" and typed or root
  local found = {}
  local walk = { left = most_entries }
  local function add(path, about, at)
    if path:sub(1, #word) == word then table.insert(found, at or #found + 1, { path, about }) end
  end
  function walk.place(path)
    local at = #found + 1
    return function() if groups then add(path .. "/", "runs", at) end end
  end
  each_run(from, deepest, walk, add)
  return #found > 0 and #found <= most_runs and found or paths(word)
end

-- Words ----------------------------------------------------------------------------------------------------------

local function data_sets(_, given)
  local list = {}
  for _, name in ipairs(sorted_keys(require "sm.data.catalogue")) do
    local again = false
    for _, word in ipairs(given.words) do again = again or word == name end
    if not again then list[#list + 1] = { name } end
  end
  return list
end

--- By what a word is, as sm.cli.options says it: function(word, given) → list of {candidate, what it is}.
local kinds <const> = {
  data = data_sets,
  directory = function(word) return paths(word) end,
  file = function(word) return paths(word, "") end,
  script = function(word) return paths(word, ".lua") end,
  run = function(word, given) return runs(word, given, false) end,
  runs = function(word, given) return runs(word, given, true) end,
  number = function() return {} end,
  text = function() return {} end,
}

M.kinds = kinds

local function of_kind(kind, word, given)
  if type(kind) ~= "table" then return (kinds[kind] or kinds.text)(word, given) end
  local list = {}
  for i, choice in ipairs(kind) do list[i] = { choice } end
  return list
end

--- Candidates that stand behind the beginning of a word, such as "--runs=".
local function behind(beginning, list)
  for _, candidate in ipairs(list) do candidate[1] = beginning .. candidate[1] end
  return list
end

--- Each way to write an option → the option.
local written = {}
for _, option in ipairs(options.options) do
  for name in option[1]:gmatch "%S+" do written[name] = option end
end

--- The options that go with what is typed. Those that --help does not show are smrun's own.
local function options_of(given)
  local command = given.command and (options.commands[given.command] or options.unnamed[given.command])
  local list = {}
  for _, option in ipairs(options.options) do
    local asks = option.target == "help"
    local goes = asks or not command or command.options[option.target] or options.common[option.target]
    local about = asks and "what the command does" or help.about_option(option.target)
    if goes and about then list[#list + 1] = { option[1]:match "%S+$", about } end
  end
  return list
end

local function commands(word)
  local list = {}
  for _, name in ipairs(sorted_keys(options.commands)) do list[#list + 1] = { name, help.about_command(name) } end
  return table.move(paths(word, ".lua"), 1, most_entries, #list + 1, list)
end

-- Parameters -----------------------------------------------------------------------------------------------------

--- What a parameter may be: its default first.
local function values(default, typed)
  local list, seen = {}, {}
  local function add(value, about)
    if not seen[value] then list[#list + 1] = { value, about } end
    seen[value] = true
  end
  add(usage.value(default), "the default")
  if type(default) == "boolean" then add(tostring(not default)) end
  local catalogue = require "sm.data.catalogue"
  if catalogue[default] or default == "mnist_mini" then
    for _, name in ipairs(sorted_keys(catalogue)) do add(name) end
    add "mnist_mini"
  elseif type(default) == "string" and typed ~= "" then
    for _, path in ipairs(paths(typed, "")) do add(path[1]) end
  end
  return list
end

--- What follows an experiment's file: its parameters.
local function parameters(word, given)
  local declared = require "sm.cli.parameters".of(expanded(given.words[1])) or {}
  local name, typed = word:match "^([%a_][%w_]*)=(.*)$"
  if name then
    return declared[name] ~= nil and behind(name .. "=", values(declared[name], typed)) or {}
  end
  local list = {}
  for _, key in ipairs(sorted_keys(declared)) do
    local again = false
    for _, other in ipairs(given.words) do again = again or other:sub(1, #key + 1) == key .. "=" end
    if not again then list[#list + 1] = { key .. "=", text.shortest(declared[key]) } end
  end
  return list
end

-- The line -------------------------------------------------------------------------------------------------------

--- What has been typed before the last word.
--- @return table {words=(without options), command=, option → its argument or true}
--- @return table|nil the option whose argument the last word is
local function read(words)
  local given, open, ended = { words = {} }, nil, false
  for i = 2, #words - 1 do
    local word = words[i]
    local name, value = word:match "^(%-%-[%w-]+)=(.*)$"
    local option = written[name or word]
    if open then
      given[open.target], open = word, nil
    elseif word == "--" then
      ended = true
    elseif option and not ended then
      given[option.target] = value or true
      open = option.takes and not name and option or nil
    elseif ended or word:sub(1, 1) ~= "-" then
      given.words[#given.words + 1] = word
    end
  end
  local first = given.words[1]
  given.command = given.code and "code" or options.commands[first] and first or first and "file" or nil
  if options.commands[first] then table.remove(given.words, 1) end
  return given, open
end

--- What the last word of a line may become.
--- @param words table array; the first is the program
--- @return table list of {candidate, what it is, or nil}
function M.candidates(words)
  local given, open = read(words)
  local word = words[#words]
  if open then return of_kind(open.takes, word, given) end
  local name, value = word:match "^(%-%-[%w-]+=)(.*)$"
  local option = name and written[name:sub(1, -2)]
  if option and option.takes then return behind(name, of_kind(option.takes, value, given)) end
  if word:sub(1, 1) == "-" then return options_of(given) end
  if not given.command then return commands(word) end
  local command = options.commands[given.command]
  if not command then return given.command == "file" and parameters(word, given) or {} end
  local position = #given.words + 1
  if position > command.most or not command.takes then return {} end
  return of_kind(command.takes[math.min(position, #command.takes)], word, given)
end

--- One line of the answer; nil for a candidate that does not go on with the word, or cannot be typed.
local function answer(shell, candidate, word, kept, quote)
  local full, about = candidate[1], candidate[2]
  if full:sub(1, #word) ~= word or text.visible(full) ~= full then return nil end
  local rest = full:sub(#kept + 1)
  if shell == "bash" then return line.for_bash(rest, quote) end
  return about and about ~= "" and rest .. "\t" .. text.visible(text.brief(about, longest)) or rest
end

--- @param arguments table the words of smrun's own command line, of which the first is "--complete"
--- @return integer exit code: 0, for nobody reads it
function M.main(arguments)
  local shell, typed, piece = arguments[2], arguments[3] or "", arguments[4]
  if not line.shells[shell] then return 0 end
  pcall(function()
    local words, quote = line.read(shell, typed)
    local word = words[#words]
    local replaced = piece and line.unquoted(shell, piece, quote) or word
    local kept = word:sub(1, #word - #replaced)
    if kept .. replaced ~= word then return end
    for _, candidate in ipairs(M.candidates(words)) do
      local given = answer(shell, candidate, word, kept, quote)
      if given then io.stdout:write(given, "\n") end
    end
  end)
  return 0
end

return M
