--- A data set of text: sequences of tokens, whose targets are the tokens that come next.
-- @module sm.data.text
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local dataset = require "sm.data.dataset"
local files = require "sm.data.files"
local reading = require "sm.data.reading"
local sorted_keys = require "sm.ordered".sorted_keys
local split = require "sm.data.split"
local tensor = require "sm.tensor"
local transform = require "sm.data.transform"

local M = {}

local PIECE <const> = 4096 -- tokens that are in a Lua table at a time

local OPTIONS <const> = check.spec("data.text", {
  file = { type = "string", doc = "the file of the training text" },
  text = { type = "string", doc = "the training text itself, in place of a file" },
  length = { type = "integer", required = true, min = 1, doc = "tokens of an example" },
  test_file = { type = "string", doc = "the file of the test text" },
  test_text = { type = "string", doc = "the test text itself" },
  tokens = { type = "string", default = "characters", choices = { "characters", "bytes" },
    doc = "what a token is: a character of UTF-8, or a byte" },
  validation = files.VALIDATION, transform = transform.option "data.text",
  name = { type = "string", default = "text", doc = "what the data set is called" },
})

-- How a text is cut: the pattern of one token.
local PATTERNS <const> = { bytes = ".", characters = utf8.charpattern }

--- Raises unless a text is one of tokens.
-- @param where the file or the option, for messages
local function check_text(where, text, tokens)
  if tokens == "bytes" then return end
  local _, wrong = utf8.len(text)
  if wrong then fail("%s: byte %d is not UTF-8; with tokens = \"bytes\" any bytes can be read", where, wrong) end
end

--- The numbers of a text's tokens, int32 {tokens}.
-- @param labels token → number
local function numbers_of(where, text, pattern, labels)
  local pieces, piece, at = {}, {}, 1
  for token in text:gmatch(pattern) do
    local label = labels[token]
    if not label then fail("%s: byte %d: '%s' is no token of the training text", where, at, token) end
    piece[#piece + 1], at = label, at + #token
    if #piece == PIECE then
      pieces[#pieces + 1], piece = tensor.tensor(piece, "int32"), {}
    end
  end
  local count = #pieces * PIECE + #piece
  local all, done = runtime.tensor.full({ count }, 0, "int32"), 0
  if #piece > 0 then pieces[#pieces + 1] = tensor.tensor(piece, "int32") end
  for _, part in ipairs(pieces) do
    runtime.tensor.copy_(runtime.tensor.slice(all, done + 1, done + #part), part)
    done = done + #part
  end
  return all
end

--- Examples one after the other: inputs {N, length} and the tokens that follow each, of the same shape. What is left at
-- the end makes no example.
local function examples(where, numbers, length)
  local count = (#numbers - 1) // length
  if count < 1 then
    fail("%s has %d tokens; an example of %d and the one that follows it take %d", where, #numbers, length, length + 1)
  end
  local function rows(first)
    local part = runtime.tensor.slice(numbers, first, first + count * length - 1)
    return runtime.tensor.reshape(part, { count, length })
  end
  return split.new(rows(1), rows(2), "indices")
end

--- Adds what turns text into numbers and back.
local function add_codes(set, vocabulary, labels, tokens)
  set.vocabulary = vocabulary

  --- set.encode(text): the numbers of a text's tokens, int32 {tokens}.
  function set.encode(text)
    if type(text) ~= "string" then fail("encode takes a text, got %s", check.describe(text)) end
    check_text("encode", text, tokens)
    return numbers_of("encode", text, PATTERNS[tokens], labels)
  end

  --- set.decode(numbers): the text of tokens, from a tensor {tokens} or a list.
  function set.decode(numbers)
    local list = numbers
    if runtime.tensor.is_tensor(numbers) then
      if #numbers.shape ~= 1 then fail("decode takes a tensor {tokens} or a list, got %s", check.describe(numbers)) end
      list = runtime.tensor.totable(numbers)
    elseif type(numbers) ~= "table" then
      fail("decode takes a tensor {tokens} or a list, got %s", check.describe(numbers))
    end
    local parts = {}
    for i, number in ipairs(list) do
      parts[i] = vocabulary[(math.tointeger(number) or -1) + 1]
        or fail("decode: token %d is %s; they are from 0 to %d", i, check.word(number), #vocabulary - 1)
    end
    return table.concat(parts)
  end
end

--- One of two options: the content of a file, or a text.
-- @return the text, and what messages call it; nil where neither is given
local function given_text(options, prefix)
  local file, text = options[prefix .. "file"], options[prefix .. "text"]
  if file and text then fail("data.text: options '%sfile' and '%stext' exclude each other", prefix, prefix) end
  if file then text = reading.text(file) end
  if text then return text, file or ("data.text: option '%stext'"):format(prefix) end
end

--- data.text { file = PATH, length = T }: inputs {T} of tokens, int32, and as targets {T} the token that follows each.
-- Tokens are the characters of the training text, sorted and numbered from 0: set.vocabulary, which is also
-- class_names. set.encode(text) gives the numbers of a text, set.decode(numbers) the text. Examples do not overlap.
function M.text(given)
  local options = check.options("data.text", given, OPTIONS)
  local text, where = given_text(options, "")
  if not text then fail "data.text: option 'file' or 'text' is missing" end
  check_text(where, text, options.tokens)
  local seen, labels = {}, {}
  for token in text:gmatch(PATTERNS[options.tokens]) do seen[token] = true end
  local vocabulary = sorted_keys(seen)
  for i, token in ipairs(vocabulary) do labels[token] = i - 1 end
  local function part(content, place)
    return examples(place, numbers_of(place, content, PATTERNS[options.tokens], labels), options.length)
  end
  local test_text, test_where = given_text(options, "test_")
  if test_text then check_text(test_where, test_text, options.tokens) end
  local set = dataset.new {
    name = options.name, train = part(text, where), test = test_text and part(test_text, test_where),
    validation = options.validation, classes = #vocabulary, class_names = vocabulary,
    transform = options.transform,
  }
  add_codes(set, vocabulary, labels, options.tokens)
  return set
end

--- Adds the same to a data set whose numbers are not there.
-- @param given the options that it was made with
function M.complete(set, given)
  local options = check.options("data.text", given, OPTIONS)
  local labels = {}
  for i, token in ipairs(set.class_names) do labels[token] = i - 1 end
  add_codes(set, set.class_names, labels, options.tokens)
end

return M
