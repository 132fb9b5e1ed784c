--- What is public, with its documentation: names from the running library, words from records, from options' rules and
-- from `---` blocks. What lacks words is listed as missing.
local comments = require "sm.reference.comments"

local M = {}

local library <const> = debug.getinfo(1, "S").source:match "^@(.*)sm/reference/collect%.lua$"

--- "signature", "words" of "signature: words"; a colon within brackets does not count.
function M.split(doc)
  local depth, i = 0, 1
  while i <= #doc do
    local c = doc:sub(i, i)
    if c:find "[%(%[{]" then depth = depth + 1 end
    if c:find "[%)%]}]" then depth = depth - 1 end
    if depth == 0 and doc:find("^: ", i) then return doc:sub(1, i - 1), doc:sub(i + 2) end
    i = i + 1
  end
  return nil, doc
end

--- Of a signature of several functions, "nn.relu(), nn.tanh()", the part of this one, which may have two forms.
function M.own_part(signature, public)
  local parts, own = {}, {}
  for cut in signature:gsub(", ", "\0, "):gmatch "[^\0]+" do
    local part = cut:gsub("^, ", "")
    if #parts > 0 and not part:find "^[%a_]+[.:]" then
      parts[#parts] = parts[#parts] .. ", " .. part
    else
      parts[#parts + 1] = part
    end
  end
  for _, part in ipairs(parts) do
    if part:find("^" .. public:gsub("%.", "%%.") .. "%f[^%w_]") then own[#own + 1] = part end
  end
  return #own > 0 and table.concat(own, ", ") or signature
end

--- The function that check.public has made public, which may be what a table is called by.
local function original(f)
  if type(f) == "table" then return original(debug.getmetatable(f).__call) end
  local info = debug.getinfo(f, "S")
  if info.what ~= "C" then return f end
  local _, inner = debug.getupvalue(f, 1)
  return type(inner) == "function" and original(inner) or nil
end

M.original = original

--- The method that check.public_methods has made public.
local function method_of(f)
  f = original(f)
  for i = 1, f and debug.getinfo(f, "u").nups or 0 do
    local name, value = debug.getupvalue(f, i)
    if name == "method" then return value end
  end
  return f
end

local function sorted(names)
  table.sort(names)
  return names
end

-- What operations are about: the families of lua/sm/ops that stand together.
local TOPICS <const> = {
  { title = "Shapes", words = "Other shapes, orders and parts of the same elements, and copies.", "views", "shape",
    "parts", "fill" },
  { title = "Elements", words = "Functions of one element, and arithmetic with NumPy's broadcasting.", "pointwise" },
  { title = "Comparisons", words = "Comparisons, choices by them, and functions that are constant between steps.",
    "compare" },
  { title = "Reductions", words = "Sums, extremes, norms and the like, along axes.", "reduce", "norms" },
  { title = "Positions", words = "Elements by their positions and labels, and in order. Positions count from 1, labels "
    .. "from 0.", "index", "sort" },
  { title = "Products", words = "Products of matrices, and sums of products.", "product", "einsum" },
  { title = "Windows", words = "Convolutions and pools.", "window", "pool" },
  { title = "Groups", words = "Softmax and its family, over groups of channels or along axes.", "softmax", "groups" },
  { title = "Normalisation", words = "Mean 0 and variance 1.", "normalise" },
  { title = "Sequences", words = "Recurrent networks and attention over sequences {N, T, features}.", "recurrent",
    "attention" },
  { title = "Losses", words = "One number that says how far an output is from its target.", "loss", "distance" },
  { title = "Random numbers", words = "Draws, and gradients past them.", "random" },
}

--- Everything that is public.
-- @return list of rooms {title=, words=, operations=true (where they are), entries={{name=, signature=,
--   words={line, …}, tags=, options={{title=, spec=}}, path=, gradient="none", "once" or "twice"}}}
-- @return list of what has no documentation, in words
function M.collect()
  local sm, check = require "sm", require "sm.check"
  require "sm.experiment" -- which nobody loads before one is declared
  local blocks, rooms, missing, shown = comments.read(library .. "sm", "lua/sm"), {}, {}, {}

  local of_name = {}
  for _, record in ipairs(require "sm.ops.records") do of_name[record.name] = record end

  local function lacks(format, ...) missing[#missing + 1] = format:format(...) end

  --- The options that a function takes: its spec, and those of tables within it.
  local function options_of(name)
    local found = {}
    for _, where in ipairs(sorted(M.keys(check.specs))) do
      local own, inner = where:match "^([^:]+): (.+)$"
      if where == name or own == name then
        found[#found + 1] = { title = inner, spec = check.specs[where] }
        shown[where] = true
      end
    end
    return found
  end

  local function check_rules(name, options)
    for _, part in ipairs(options) do
      for key, rule in pairs(part.spec) do
        if type(rule.doc) ~= "string" or not rule.doc:find "%S" then
          lacks("%s: option %s%s has no doc in its rule", name, part.title and part.title .. "." or "", key)
        end
      end
    end
  end

  --- Adds a function that a `---` block documents.
  local function add(room, public, f, where)
    local block = comments.find(blocks, public, f, where)
    local record = public:find "^nn%." and of_name[public:sub(4)]
    if record and record.layer then -- the layer comes from the record, and so do its words
      local _, words = M.split(record.doc)
      block = { path = where:gsub("[%^%%]", "") .. "activation.lua", tags = {}, words = { public .. "(): " .. words } }
    end
    local entry = { name = public, options = options_of(public:gsub("^sm%.", "")), words = {}, tags = {} }
    if #entry.options == 0 then entry.options = options_of(public) end
    if not block or #block.words == 0 then
      lacks("%s: no --- comment above its definition", public)
    else
      entry.path, entry.tags = block.path, table.move(block.tags, 1, #block.tags, 1, {})
      entry.words = table.move(block.words, 1, #block.words, 1, {})
      local first = table.concat(entry.words, "\n")
      local signature, words = M.split(first)
      local own = public:gsub("^sm%.", "")
      signature = signature and signature:gsub("`", "")
      if signature and (signature:find(own, 1, true) or signature:find(public:match "[%w_]+$", 1, true) == 1) then
        entry.signature = M.own_part(signature:gsub("%s*\n%s*", " "), public)
        entry.words = {}
        for line in (words .. "\n"):gmatch "([^\n]*)\n" do entry.words[#entry.words + 1] = line end
      end
      if not entry.signature then
        local parameters = block.code:match "function[^(]*%(([^()]*)%)"
        if parameters and public:find ":" and not block.code:find "function [%w_]+:" then -- what it is a method of
          local of
          of, parameters = parameters:match "^(%w*),?%s*(.*)$"
          if entry.tags[1] and entry.tags[1].text:match "^%w+" == of then table.remove(entry.tags, 1) end
        end
        entry.signature = public .. (parameters and "(" .. parameters .. ")" or block.made and " { … }" or "(…)")
      end
      if not table.concat(entry.words):find "%w" then lacks("%s: its comment has no words", public) end
    end
    check_rules(public, entry.options)
    room.entries[#room.entries + 1] = entry
  end

  local function room(title, words)
    rooms[#rooms + 1] = { title = title, words = words, entries = {} }
    return rooms[#rooms]
  end

  -- Functions of sm, and methods of a tensor that are no records.
  local GRADIENTS <const> = { backward = true, requires_grad = true, tracks = true, grad = true, no_grad = true,
    enable_grad = true, op = true, gradcheck = true, pointwise = true, straight_through = true, detach = true }
  local EXPERIMENTS <const> = { params = true, experiment = true, load_run = true }
  local tensors, gradients, experiments = room "Tensors", { title = "Gradients", entries = {} },
    { title = "Experiments", entries = {} }
  for _, name in ipairs(sorted(M.keys(sm))) do
    local f = sm[name]
    if type(f) == "function" and not of_name[name] then
      if EXPERIMENTS[name] then
        add(experiments, "sm." .. name, nil, "^$") -- plain Lua has others, which hand the file over
      else
        add(GRADIENTS[name] and gradients or tensors, "sm." .. name, original(f), "^lua/sm/[%w_]+%.lua$")
      end
    end
  end
  local methods = require "sm.tensor".methods
  for _, name in ipairs(sorted(M.keys(methods))) do
    if not of_name[name] then
      add(GRADIENTS[name] and gradients or tensors, "x:" .. name, original(methods[name]), "^lua/sm/tensor%.lua$")
    end
  end

  -- Operations by what they are about, each family of lua/sm/ops in one room.
  local told = {}
  for _, about in ipairs(TOPICS) do
    local own = room(about.title, about.words)
    own.operations = true
    for _, family in ipairs(about) do
      told[family] = true
      for _, record in ipairs(require("sm.ops." .. family)) do
        local signature, words = M.split(record.doc or "")
        local entry = { name = record.name, signature = signature, words = { words }, tags = {}, options = {},
          path = "lua/sm/ops/" .. family .. ".lua",
          gradient = record.differentiable == false and "none" or record.twice and "twice" or "once" }
        if not signature or not words:find "%w" then
          lacks("%s: the record's doc is not \"signature: words\"", record.name)
          entry.signature = signature or (record.call and "sm." or "x:") .. record.name
        end
        if record.options then entry.options = { { spec = record.options } } end
        check_rules(record.name, entry.options)
        own.entries[#own.entries + 1] = entry
      end
    end
  end
  local file <close> = assert(io.open(library .. "sm/ops/records.lua"))
  for family in file:read "a":gmatch "require \"sm%.ops%.(%w+)\"" do
    if not told[family] then lacks("%s: a family of operations in no room of lua/sm/reference/collect.lua", family) end
  end
  rooms[#rooms + 1] = gradients

  --- The methods of a class, as check.public_methods was told them.
  local function class(title, of, prefix, where)
    local known = check.classes[of]
    if not known then return lacks("%s: no class is called that", of) end
    local own = room(title)
    for _, name in ipairs(known.names) do add(own, prefix .. name, method_of(known.class[name]), where) end
  end

  local function shelf(title, name, where, skip)
    local own, module = room(title), sm[name]
    for _, key in ipairs(sorted(M.keys(module))) do
      local value = module[key]
      if key ~= skip then add(own, name .. "." .. key, original(value), where) end
    end
  end

  shelf("Layers", "nn", "^lua/sm/nn/", "init")
  local init = room "Initialisers"
  for _, key in ipairs(sorted(M.keys(sm.nn.init))) do
    add(init, "nn.init." .. key, original(sm.nn.init[key]), "^lua/sm/nn/initialise%.lua$")
  end
  class("Methods of a model", "a model", "model:", "^lua/sm/nn/layer%.lua$")
  shelf("Optimizers and schedules", "optim", "^lua/sm/optim/")
  class("Methods of an optimizer", "an optimizer", "opt:", "^lua/sm/optim/optimizer%.lua$")
  shelf("Data sets", "data", "^lua/sm/data/")
  class("Methods of a data set", "a data set", "set:", "^lua/sm/data/dataset%.lua$")
  shelf("PNG files", "png", "^lua/sm/png%.lua$")
  shelf("Pictures", "view", "^lua/sm/view/")
  class("Methods of a picture of one's own", "a picture of one's own", "view:", "^lua/sm/view/own%.lua$")
  class("Methods of a canvas", "a canvas", "canvas:", "^lua/sm/view/canvas%.lua$")
  rooms[#rooms + 1] = experiments
  class("Methods of an experiment", "an experiment", "experiment:", "^lua/sm/experiment/init%.lua$")
  for _, where in ipairs(sorted(M.keys(check.specs))) do
    if not shown[where] then lacks("%s: options that no public name takes", where) end
  end
  return rooms, missing
end

function M.keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  return keys
end

return M
