--- What a worker may ask of its supervisor: each call with its fields, checked when one comes.
-- @module sm.cli.calls
local message = require "sm.cli.message"
local names = require "sm.experiment.names"
local text = require "sm.text"

local M = {}

local most_steps <const> = 2 ^ 53
local most_bytes <const>, most_of_texts <const> = 1 << 22, 16 << 20 -- of a call; of one that carries whole files
local most_in_prompt <const>, most_in_line <const>, most_shown <const> = 20, 200, 1 << 15 -- bytes
local most_seconds <const>, most_columns <const> = 1e9, 200
local done <const>, interrupted <const> = 0, 130 -- exit codes

local function is_text(value) return type(value) == "string" end
local function is_prompt(value) return is_text(value) and #value < most_in_prompt and value:find "^%d+>>? $" ~= nil end
local function is_inserted(value) return is_text(value) and #value < most_in_line and text.visible(value) == value end
local function is_shown(value) return is_text(value) and #value <= most_shown end
local function is_flag(value) return type(value) == "boolean" end
local function is_number(value) return math.type(value) ~= nil end
local function is_integer(value) return math.type(value) == "integer" end
local function is_step(value) return is_integer(value) and value >= 0 and value <= most_steps end
local function is_columns(value) return is_integer(value) and value >= 0 and value <= most_columns end
local function is_seconds(value) return is_number(value) and value >= 0 and value <= most_seconds end
local function is_code(value) return value == done or value == interrupted end

--- The place of a module: "net/blocks.lua", beneath a directory.
local function is_place(value)
  return is_text(value) and not ("/" .. value .. "/"):find "/%.?%.?/" and not value:find("\0", 1, true)
end

local function all(value, is_key, is_value)
  if type(value) ~= "table" then return false end
  for key, item in next, value do
    if not is_key(key) or not is_value(item) then return false end
  end
  return true
end

local function list_of(is_value)
  return function(value)
    return all(value, function(key) return math.type(key) == "integer" and key >= 1 and key <= #value end, is_value)
  end
end

local function map_of(is_value, is_key)
  return function(value) return all(value, is_key or is_text, is_value) end
end

--- A text, or a list of texts and of {code, text}, as sm.terminal.progress paints them.
local function is_painted(value)
  return is_text(value) or list_of(function(piece)
    if is_text(piece) then return true end
    if type(piece) ~= "table" then return false end
    local code, words = piece[1], piece[2]
    return is_text(words) and (code == false or is_text(code) and #code < 16 and not code:find "[^%d;]")
  end)(value)
end

local function is_plain(value) return is_text(value) or is_flag(value) or is_number(value) end

local check

local function record(fields)
  return function(value) return type(value) == "table" and check(value, fields) == nil end
end

local is_texts <const>, is_figures <const> = map_of(is_text), map_of(is_number)

local function is_row(value) return is_figures(value) and is_step(value.step) end

local is_identity <const> = record {
  source = is_text, params = is_text, modules = is_texts, declaration = is_texts, data = is_texts, loaded = is_texts,
  continued = { is_text }, drew = is_flag, from_file = { is_flag }, script = { map_of(is_plain) },
}

local is_about <const> = record {
  name = is_text, variant = is_text, model = is_text, data = is_text, optimizer = is_text, steps = is_step,
  batch = is_step, accumulate = { is_step }, seed = is_integer, threads = is_step, frozen = list_of(is_text),
}

local is_problem <const> = record { message = is_text, lines = { is_text }, usage = { is_flag } }

--- Each call by its name: its fields, each with its test; a test in brackets is of a field that may be left out.
--- `answered`: the worker waits for what the supervisor gives. `needs`: what must have come before, a "screen" or an
--- open "run". `most`: bytes.
M.calls = {
  -- the screen and the log
  screen = { fields = { quiet = { is_flag } } },
  say = { needs = "screen", fields = { given = is_painted, indent = { is_columns } } },
  conclude = { needs = "screen", fields = { given = is_painted } },
  note = { needs = "screen", fields = { given = is_painted } },
  row = { needs = "screen", fields = { row = is_row, steps = is_step, metrics = { is_figures } } },
  step = { needs = "screen", fields = { step = is_step, steps = is_step, figures = is_figures, seconds = is_seconds } },
  clear = { needs = "screen", fields = {} },
  plan = { needs = "screen", fields = { about = is_about, path = is_text } },
  finished = { needs = "screen", fields = {
    pictures = is_flag, next = { record { predict = is_flag, longer = { is_step } } },
  } },
  finished_already = { needs = "screen", fields = {} },
  interrupted_run = { needs = "run", fields = { step = is_step, steps = is_step } },
  -- predictions
  predictions = { fields = {
    kind = function(value) return value == "probability" or value == "score" or value == "output" end,
    classes = is_step, widest = is_columns, lines = list_of(is_text),
  } },
  predicted = { needs = "predictions", fields = {
    rows = list_of(record { class = is_text, value = is_number }), done = is_text,
  } },
  predicted_all = { needs = "predictions", fields = {} },
  -- the run directory
  home = { answered = true, fields = {} },
  place = { answered = true, most = most_of_texts, fields = {
    name = names.is_part, variant = names.is_part, runs = { is_text }, identity = is_identity, again = { is_flag },
    planning = { is_flag },
  } },
  open = { answered = true, needs = "screen", fields = { path = is_text } },
  surroundings = { answered = true, fields = {} },
  prune = { answered = true, needs = "run", fields = { keep = is_step, step = is_step } },
  conclude_run = { answered = true, needs = "run", fields = { summary = map_of(is_plain) } },
  report = { answered = true, needs = "run", fields = {
    steps = is_step, pause = is_seconds, ended = { record { how = is_text, problem = { is_text } } },
  } },
  publish = { answered = true, most = most_of_texts, fields = { place = is_place, text = is_text } },
  -- a prompt: the next line that is typed, or a question for what Tab may add, which the next such call answers. What
  -- stands before a line has one form, so that no question of the worker's looks like one of smrun's
  line = { answered = true, fields = { prompt = is_prompt, inserted = { is_inserted }, shown = { is_shown } } },
  picture = { answered = true, most = most_of_texts, fields = { png = is_text } },
  -- the work itself
  graceful = { fields = { on = is_flag } },
  asked = { fields = {} },
  planned = { most = most_of_texts, fields = {
    result = { record { directory = is_text, state = is_text, steps = is_step, saved = is_step } },
    problem = { is_problem }, modules = map_of(is_text, is_place),
  } },
  ended = { fields = { code = { is_code }, problem = { is_problem } } },
}

--- What is wrong with the fields of a table; nil where nothing is.
function check(value, fields)
  for name, is in next, fields do
    local test, optional = is, false
    if type(is) == "table" then test, optional = is[1], true end
    local given = value[name]
    if given == nil then
      if not optional then return ("'%s' is missing"):format(name) end
    elseif not test(given) then
      return ("'%s' is not what it should be"):format(name)
    end
  end
  for name in next, value do
    if fields[name] == nil then return "there is a field too many" end
  end
end

--- The bytes of a call, in the worker.
--- @param fields table|nil
function M.encode(name, fields)
  local call = { call = name }
  for key, value in next, fields or {} do call[key] = value end
  return message.encode(call)
end

--- What two fields say together.
local function contradicts(name, call)
  if name == "step" then return call.step < 1 or call.step > call.steps end
  if name == "planned" then return (call.result == nil) == (call.problem == nil) end
  return name == "ended" and (call.code == nil) == (call.problem == nil)
end

--- Reads a call, in the supervisor.
--- @return table|nil the call with its fields; nil where the bytes are none
--- @return string|nil why
function M.decode(bytes)
  local call, reason = message.decode(bytes)
  if reason then return nil, reason end
  local name = type(call) == "table" and call.call
  local known = name and M.calls[name]
  if not known then return nil, "it is none that there is" end
  call.call = nil
  reason = check(call, known.fields) or contradicts(name, call) and "its fields contradict each other"
    or #bytes > (known.most or most_bytes) and "it is too long"
  if reason then return nil, ("%s: %s"):format(name, reason) end
  call.call = name
  return call
end

return M
