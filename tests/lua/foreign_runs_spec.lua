--- Run directories from elsewhere, whose files say what no run would: for every file and field, what resume, eval,
--- compare and report say of it. None fails inside the library, and none goes on with a wrong number.
local lfs = require "lfs"
local compare = require "sm.study.compare"
local files = require "sm.files"
local json = require "sm.json"
local records = require "sm.study.records"
local report = require "sm.report"
local sheet_record = require "sm.view.record"
local sm = require "sm"
local tabulate = require "sm.study.tables"
local visible = require "sm.text".visible
local tiny = dofile "tests/lua/tiny_experiment.lua"
local has = dofile "tests/lua/helpers.lua".has

--- The files of a directory and of those in it: place → content.
local function content(path, prefix, into)
  for _, name in ipairs(tiny.list(path)) do
    local inner = path .. "/" .. name
    if lfs.attributes(inner, "mode") == "directory" then
      content(inner, prefix .. name .. "/", into)
    else
      into[prefix .. name] = tiny.read(inner)
    end
  end
  return into
end

describe("a run from elsewhere", function()
  local workspace, path, unfinished, finished

  setup(function()
    workspace = tiny.workspace()
    local steps = 0
    tiny.run(workspace, {}, { interrupted = function()
      steps = steps + 1
      return steps > 10
    end })
    path = workspace .. "/runs/tiny/default"
    unfinished = content(path, "", {})
    tiny.run(workspace)
    finished = content(path, "", {})
    tiny.write_run(workspace, "good/run", 7, { accuracy = 0.5, metrics = "10,1,0.5,0.5,0.4,0.9,0.1,3\n" })
  end)
  teardown(function() tiny.remove(workspace) end)

  --- Puts a run in its place, with some files changed: place → content, false for none.
  local function put(run, changed)
    for place in pairs(content(path, "", {})) do os.remove(path .. "/" .. place) end
    for place, text in pairs(run) do
      if changed[place] == nil then tiny.write(path .. "/" .. place, text) end
    end
    for place, text in pairs(changed) do
      if text then tiny.write(path .. "/" .. place, text) end
    end
  end

  local function both()
    return { path, workspace .. "/good/run" }
  end

  local commands <const> = {
    resume = function() return (tiny.call("resume", path)) end,
    eval = function() return (tiny.call("evaluate", path)) end,
    read = function() return records.read(path) and "" end,
    compare = function() return tabulate.text(compare.runs(both())) end,
    report = function() return report.page(both()):match "<h3>Left out</h3>.-</table>" or "" end,
  }

  --- What a command says of the run, which has nothing of the library's inside.
  --- @return string, boolean whether it was no error
  local function said_by(command)
    local ok, said = pcall(commands[command])
    said = tostring(type(said) == "table" and said.message or said) -- as sm.cli.traceback has it
    said = said:gsub("tests/lua/[%w_]+%.lua:%d+: ", ""):gsub("&#39;", "'")
    local outside = said:gsub("experiment%.lua:%d", "") -- the run's own line
    for _, inside in ipairs { "attempt to", "bad argument", "%.lua:%d", "0x%x%x%x", "stack overflow" } do
      assert.is_nil(outside:find(inside), command .. ": " .. said)
    end
    return said, ok
  end

  --- Every one of some commands says these words, whether as an error or in leaving the run out.
  local function say(words, ...)
    for _, command in ipairs { ... } do
      local said, ok = said_by(command)
      assert.equal(command == "compare" or command == "report", ok, command .. ": " .. said)
      has(said, words)
    end
  end

  --- The text of a JSON file in which one value is another.
  local function with(text, field, value)
    local object = json.decode(text)
    local inner, last = object, nil
    for name in field:gmatch "[^/]+" do
      if last then inner = inner[last] end
      last = math.tointeger(tonumber(name)) or name
    end
    inner[last] = "here"
    return (json.encode(object):gsub('"here"', function() return value end))
  end

  local wrong <const> = { -- for each kind of value what is none, and what it is called
    ["a string"] = { ["5"] = "5", ["[]"] = "array", ["{}"] = "object", ["true"] = "boolean" },
    ["an integer"] = { ['"1"'] = "string", ["1.5"] = "1.5", ["1e300"] = "1e+300",
      ["9223372036854775808"] = "9.223372036854776e+18", ["[1]"] = "array" },
    ["a number"] = { ['"0.5"'] = "string", ["{}"] = "object" },
    ["true or false"] = { ["0"] = "0", ['"true"'] = "string" },
    ["an object"] = { ["5"] = "5", ['"x"'] = "string", ["[]"] = "array", ["true"] = "boolean" },
    ["an array"] = { ["{}"] = "object", ['"x"'] = "string" },
    ["a number, a string, true or false"] = { ["[]"] = "array", ['{"a": 1}'] = "object" },
    ["an integer of at least 0"] = { ["-1"] = "-1" },
    ["an integer from 0 to 2^53"] = { ["-1"] = "-1", ["9007199254740993"] = "9007199254740993" },
    ["a number of at least 0"] = { ["-0.5"] = "-0.5", ["-1e300"] = "-1e+300" },
    ["a number from 0 to 1"] = { ["-0.1"] = "-0.1", ["1.5"] = "1.5", ["1e300"] = "1e+300" },
  }

  --- Every wrong value of some fields: each command says which field it is, and what it must be.
  local function refuse(run, place, kind, fields, ...)
    for field in fields:gmatch "%S+" do
      for value, called in pairs(wrong[kind]) do
        put(run, { [place] = with(run[place], field, value) })
        local record, name = field:match "^(git)/(.*)$"
        if not record then record, name = field:match "^(sessions/%d)/(.*)$" end
        local where = record and place .. ": " .. record:gsub("/", ".") or place
        say(("%s: '%s' must be %s, got %s"):format(where, (name or field):gsub("/", "."), kind, called), ...)
      end
      put(run, { [place] = with(run[place], field, "1e999") })
      say(("%s: '%s' must be a finite number"):format(place, (field:gsub("/", "."))), ...)
    end
  end

  local environment <const> = {
    ["a string"] = "smrun lua real processor instruction_set host experiment variant started file data/classes "
      .. "declaration/loss blas/kernel git/revision sessions/1/started",
    ["an integer"] = "seed threads sessions/1/threads",
    ["an integer of at least 0"] = "threads cores sessions/1/cores",
    ["true or false"] = "drew git/dirty",
    ["an object"] = "git data modules declaration blas",
    ["an array"] = "sessions",
  }
  for kind, fields in pairs(environment) do
    it("has " .. kind .. " in a field of environment.json", function()
      local run = setmetatable({}, { __index = unfinished })
      for place, text in pairs(unfinished) do run[place] = text end
      run["environment.json"] = with(run["environment.json"], "git", '{"revision": "abc", "dirty": true}')
      refuse(run, "environment.json", kind, fields, "resume", "eval", "read")
      say("environment.json: '", "compare", "report")
    end)
  end

  local summary <const> = {
    ["a string"] = "experiment status",
    ["an integer"] = "seed steps parameters best_validation_step",
    ["an integer of at least 0"] = "parameters",
    ["an integer from 0 to 2^53"] = "steps best_validation_step",
    ["a number"] = "test_accuracy test_loss validation_loss best_validation_loss wall_seconds median_step_ms",
    ["a number of at least 0"] = "wall_seconds training_seconds median_step_ms",
    ["a number from 0 to 1"] = "test_accuracy validation_accuracy best_validation_accuracy",
  }
  for kind, fields in pairs(summary) do
    it("has " .. kind .. " in a field of summary.json", function()
      refuse(finished, "summary.json", kind, fields, "resume", "read")
      say("summary.json: '", "compare", "report")
    end)
  end

  it("has parameters that are no values, or not of the file's types", function()
    refuse(unfinished, "params.json", "an object", "values", "resume", "eval", "read")
    say("params.json: 'values' must be", "compare", "report")
    refuse(unfinished, "params.json", "a number, a string, true or false", "values/lr values/steps", "resume", "eval")
    for field, case in pairs {
      ["values/steps"] = { "1.5", "params.json: parameter 'steps' must be an integer like its default 12, got '1.5'" },
      ["values/lr"] = { '"fast"', "params.json: parameter 'lr' must be a number like its default 0.01, got 'fast'" },
      ["values/lrs"] = { "1", "params.json: unknown parameter 'lrs'; did you mean 'lr'?" },
      ["values/seed"] = { "8.5", "params.json: parameter 'seed' must be an integer like its default 1, got '8.5'" },
    } do
      put(unfinished, { ["params.json"] = with(unfinished["params.json"], field, case[1]) })
      say(case[2], "resume", "eval")
    end
    put(unfinished, { ["params.json"] = "{}" })
    say("params.json: there are no values", "resume", "eval", "read", "compare", "report")
  end)

  it("has times that are none", function()
    for kind, fields in pairs {
      ["a number of at least 0"] = "wall_seconds training_seconds row_seconds",
      ["a number"] = "wall_seconds training_seconds row_seconds", ["an integer from 0 to 2^53"] = "step",
    } do refuse(unfinished, "spent.json", kind, fields, "resume") end
    put(unfinished, { ["spent.json"] = "{}" })
    say("spent.json: there are no 'training_seconds'", "resume")
  end)

  it("has no other seed in its summary than in its environment", function()
    put(finished, { ["summary.json"] = with(finished["summary.json"], "seed", "5") })
    say("summary.json: 'seed' is 5, and 1 in environment.json", "read", "compare", "report")
  end)

  it("has a record of what it declared", function()
    for field, words in pairs { data = "there are no checksums of its data",
      modules = "there is no list of its modules", declaration = "there is no record of what it declared" } do
      put(unfinished, { ["environment.json"] = with(unfinished["environment.json"], field, "null") })
      say("environment.json: " .. words, "resume", "eval")
    end
  end)

  local bytes <const> = { -- what is done to the text of a JSON file, and what is said of it
    ["nothing"] = { function() return "" end, "byte 1 is not JSON" },
    ["half"] = { function(text) return text:sub(1, #text // 2) end, "is not JSON" },
    ["a NUL at its end"] = { function(text) return text .. "\0" end, "is not JSON: expected its end" },
    ["a mark of byte order"] = { function(text) return "\u{FEFF}" .. text end, "byte 1 is not JSON" },
    ["bytes that are not UTF-8"] = { function(text) return text:gsub('"', '"\xff', 1) end, "is not UTF-8" },
    ["a control code"] = { function(text) return text:gsub('"', '"\27', 1) end, "no control character in a string" },
    ["a text before it"] = { function(text) return "\27[31m" .. text end, "byte 1 is not JSON" },
    ["many brackets"] = { function() return ('{"a":'):rep(100000) end, "at most 64 levels of brackets" },
    ["a key twice"] = { function(text) return text:gsub("}%s*$", ', "a": 1, "a": 2}') end, "has 'a' twice" },
    ["a list"] = { function() return "[]" end, "expected a JSON object, found array" },
    ["null"] = { function() return "null" end, "expected a JSON object, found null" },
    ["two objects"] = { function(text) return text .. text end, "is not JSON: expected its end" },
    ["no number"] = { function(text) return text:gsub(":", ": NaN, \"z\": ", 1) end, "is not JSON" },
  }
  for what, case in pairs(bytes) do
    it("has " .. what .. " in a file of JSON", function()
      for _, place in ipairs { "params.json", "environment.json" } do
        put(unfinished, { [place] = (case[1](unfinished[place])) })
        say(case[2], "resume", "eval", "read", "compare", "report")
        say(place, "resume", "eval", "read", "compare", "report")
      end
      put(finished, { ["summary.json"] = (case[1](finished["summary.json"])) })
      say(case[2], "resume", "read", "compare", "report")
      put(unfinished, { ["spent.json"] = (case[1](unfinished["spent.json"])) })
      say(case[2], "resume")
    end)
  end

  it("has line ends of another system in its JSON", function()
    local changed = {}
    for _, place in ipairs { "params.json", "environment.json", "summary.json" } do
      changed[place] = finished[place]:gsub("\n", "\r\n")
    end
    put(finished, changed)
    for _, command in ipairs { "resume", "eval", "read" } do assert.is_true(select(2, said_by(command)), command) end
  end)

  it("lacks a file", function()
    for place, asked in pairs {
      ["experiment.lua"] = { "resume", "eval", "read", "compare", "report" },
      ["params.json"] = { "resume", "eval", "read", "compare", "report" },
      ["environment.json"] = { "resume", "eval", "read", "compare", "report" },
      ["metrics.csv"] = { "resume", "read", "compare", "report" },
    } do
      put(unfinished, { [place] = false })
      say(place, table.unpack(asked))
    end
  end)

  local header <const> = "step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,step_ms\n"
  local rows <const> = {
    ["-1,1,,,,,,"] = "line 2: 'step' must be a whole number of at least 0 and at most 2^53, got '-1'",
    ["1e300,1,,,,,,"] = "line 2: 'step' must be a whole number of at least 0 and at most 2^53, got '1e300'",
    ["9223372036854775808,1,,,,,,"] = "line 2: 'step' must be",
    ["9007199254740993,1,,,,,,"] = "line 2: 'step' must be",
    ["x,1,,,,,,"] = "line 2: 'step' must be a number or nothing, got 'x'",
    [",1,,,,,,"] = "line 2: 'step' must be",
    ["3,1,,,,,,\0"] = "line 2: 'step_ms' must be a number or nothing, got '\\0'",
    ["3,1,,,,,\27[31m,"] = "line 2: 'lr' must be a number or nothing, got",
    ["3,1,1e999,,,,,"] = "line 2: 'train_loss' must be a number or nothing, got '1e999'",
    ["3,1,,7,,,,"] = "line 2: 'train_accuracy' must be a number from 0 to 1, got '7'",
    ["3,1,,,,-0.5,,"] = "line 2: 'validation_accuracy' must be a number from 0 to 1, got '-0.5'",
    ["3,1,,,,,,-5"] = "line 2: 'step_ms' must be a number of at least 0, got '-5'",
    ["3,-1,,,,,,"] = "line 2: 'epoch' must be a number of at least 0, got '-1'",
    ["3,1,,,,,"] = "line 2: expected 8 cells, got 7",
    ["3,1,,,,,,,5"] = "line 2: expected 8 cells, got 9",
    ["3,1,,,,,,\n3,1,,,,,,"] = "line 3: 'step' must be a whole number above 3",
    ["3,1,,,,,,\r"] = "line 2: 'step_ms' must be a number or nothing",
  }
  it("has rows in metrics.csv that are none", function()
    for text, words in pairs(rows) do
      put(unfinished, { ["metrics.csv"] = header .. text .. "\n" })
      say("metrics.csv, " .. words:match "^[^:]*", "compare", "report")
      say(words, "read", not text:find "^9" and "resume" or nil) -- of steps to come it needs none
    end
    for _, text in ipairs { "", "\n", header:sub(1, -2), "\u{FEFF}" .. header, "\0" .. header,
      header:sub(1, -2) .. "\r\n", header:gsub("epoch", "epoch,epoch") } do
      put(unfinished, { ["metrics.csv"] = text })
      say("metrics.csv: expected a header that begins with", "resume", "read", "compare", "report")
    end
    put(unfinished, { ["metrics.csv"] = header:sub(1, -2) .. ",a,a\n" })
    say("metrics.csv: two columns are called 'a'", "resume", "read", "compare", "report")
  end)

  -- Checkpoints ------------------------------------------------------------------------------------------------

  local last <const>, before <const> = "checkpoints/step-000010.safetensors", "checkpoints/step-000005.safetensors"

  --- The newest checkpoint, changed by a function(tensors, metadata), as another program would write it.
  local function changed(change)
    local file = workspace .. "/changed.safetensors"
    tiny.write(file, unfinished[last])
    local tensors, metadata = files.load(file)
    tensors, metadata = change(tensors, metadata) or tensors, metadata
    files.save(file, tensors, metadata)
    return tiny.read(file)
  end

  local function metadata(key, value)
    return function(_, texts) texts[key] = value end
  end

  --- Another text in a line of the run's numbers; nil takes the line away.
  local function number(name, value)
    return function(_, texts)
      local lines, count = {}, 0
      for line in texts.numbers:gmatch "[^\n]+" do
        local here = line:match "^[^=]+" == name
        count = count + (here and 1 or 0)
        if not here or value then lines[#lines + 1] = here and name .. "=" .. value or line end
      end
      if count == 0 then lines[#lines + 1] = name .. "=" .. value end
      texts.numbers = table.concat(lines, "\n")
    end
  end

  local function weight(value)
    return function(tensors)
      local w = tensors["model.linear1.weight"]
      tensors["model.linear1.weight"] = w * 0 + value
    end
  end

  local passed_over <const> = {
    { "expected the format 'smrun checkpoint 1', got 'none'", metadata("format", nil) },
    { "expected the format 'smrun checkpoint 1', got 'x'", metadata("format", "x") },
    { "the metadata lack 'numbers'", metadata("numbers", nil) },
    { "the metadata lack 'source'", metadata("source", nil) },
    { "its step is '3'", metadata("step", "3") },
    { "its step is '10.0'", metadata("step", "10.0") },
    { "its step is '-1'", metadata("step", "-1") },
    { "its step is 'x'", metadata("step", "x") },
    { "the run's numbers: there is no state of the optimizer", metadata("numbers", "") },
    { "the run's numbers have a line 'x'", metadata("numbers", "x") },
    { "the run's numbers have a line 'a=b'", metadata("numbers", "a=b") },
    { "the run's numbers have a line '.=1'", metadata("numbers", ".=1") },
    { "the run's numbers have a line 'a.b=2'", metadata("numbers", "a=1\na.b=2") },
    { "the run's numbers have a line 'a=2'", metadata("numbers", "a=1\na=2") },
    { "the run's numbers: 'random' must be an object, got 1", metadata("numbers", "random=1") },
    { "the run's numbers: random: there is no 'order'", number("random.order", nil) },
    { "the run's numbers: random: there is no 'script'", number("random.script", nil) },
    { "the run's numbers: random: 'order' must be an integer of at least 0, got -1", number("random.order", "-1") },
    { "the run's numbers: random: 'seed' must be an integer, got 0.5", number("random.seed", "0.5") },
    { "the run's numbers: 'stream.offset' must be a finite number", number("stream.offset", "1e999") },
    { "the run's numbers: stream: 'epoch' must be an integer, got 1e+300", number("stream.epoch", "1e300") },
    { "the run's numbers: stream: there is no 'offset'", number("stream.offset", nil) },
    { "the run's numbers: stream: there is no 'position'", number("stream.position", nil) },
    { "the run's numbers: optimizer: there are no 'steps'", number("optimizer.steps", nil) },
    { "the run's numbers: optimizer: 'steps' must be an integer from 0 to 2^53", number("optimizer.steps", "-5") },
    { "the run's numbers: tally: there is no 'loss'", number("tally.loss", nil) },
    { "the run's numbers: 'tally' is of step 11", number("tally.steps", "11") },
    { "the run's numbers: 'tally.accuracy' is that of 7 steps, and there are 1", number("tally.accuracy", "7") },
    { "the run's numbers: the optimizer has done 7 steps", number("optimizer.steps", "7") },
    { "the run's numbers: validation: best: 'accuracy' must be a number from 0 to 1",
      number("validation.best.accuracy", "2") },
    { "the run's numbers: validation: best: there is no step", number("validation.best.step", nil) },
    { "the run's numbers: 'validation.best' is of step 12", number("validation.best.step", "12") },
    { "the run's numbers: 'validation.latest' is of step 12", number("validation.latest.step", "12") },
    { "tensor 'model.linear1.weight' is not finite", weight(0 / 0) },
    { "tensor 'model.linear1.weight' is not finite", weight(math.huge) },
  }
  for position, case in ipairs(passed_over) do
    it("has a checkpoint of which is said: " .. case[1], function()
      put(unfinished, { [last] = changed(case[2]) })
      for _, command in ipairs { "eval", position % 5 == 0 and "resume" or nil } do
        local said, ok = said_by(command)
        assert.is_true(ok, said)
        has(said, "passed over a checkpoint that cannot be read: ")
        has(said, "step-000010.safetensors: " .. case[1])
        has(said, command == "resume" and "goes on after step 5 of 12" or "after step 5")
      end
      put(unfinished, { [last] = changed(case[2]), [before] = false })
      say("checkpoints: not one can be read, out of 1", "resume", "eval")
    end)
  end

  it("has a checkpoint that is cut short, damaged, or something else", function()
    local whole = unfinished[last]
    for _, text in ipairs { "", whole:sub(1, 7), whole:sub(1, 700), whole:sub(1, -2), whole .. "\0", ("\0"):rep(2000),
      (whole:gsub("..$", "\1\2")), (whole:gsub("model", "nodel", 1)), ("x"):rep(5000), unfinished["params.json"] } do
      put(unfinished, { [last] = text })
      has(said_by "eval", "passed over a checkpoint that cannot be read: ")
    end
  end)

  local refused <const> = {
    { "it was saved by a different text of the experiment than", metadata("source", "return 1") },
    { "it was saved by a run with other parameters", metadata("params", "{}") },
    { "the run's numbers: 'validation.best.metrics.step' is of no metric of the experiment",
      number("validation.best.metrics.step", "0.5") },
    { "the run's numbers: 'tally.figures.a,b' is nothing that `train` returns", function(_, texts)
      texts.numbers = texts.numbers .. "\ntally.figures.a,b.sum=1\ntally.figures.a,b.steps=1"
    end },
    { "there is no tensor 'model.linear1.bias'", function(tensors) tensors["model.linear1.bias"] = nil end },
    { "the model has no place for the tensor 'model.extra'", function(tensors)
      tensors["model.extra"] = sm.zeros(2)
    end },
    { "it is not the model that was saved", function(tensors) tensors["model.linear1.weight"] = sm.zeros(4, 8) end },
    { "it is not the model that was saved", function(tensors)
      tensors["model.linear1.bias"] = sm.zeros({ 9 }, "int32")
    end },
  }
  for _, case in ipairs(refused) do
    it("has another run's checkpoint, of which is said: " .. case[1], function()
      put(unfinished, { [last] = changed(case[2]) })
      say("step-000010.safetensors: ", "resume", "eval")
      say(case[1], "resume", "eval")
    end)
  end

  it("has a checkpoint whose optimizer or place in the data is another's", function()
    local function without(pattern)
      return function(tensors)
        local kept = {}
        for name, tensor in pairs(tensors) do kept[name] = not name:find(pattern) and tensor or nil end
        return kept
      end
    end
    for words, change in pairs {
      ["the optimizer had 18 tensors, and here are 0"] = without "^optimizer",
      ["the optimizer had 18 tensors, and here are 15"] = without "^optimizer.linear1.bias",
      ["the optimizer had 18 tensors, and here are 19"] = function(tensors) tensors["optimizer.x"] = sm.zeros(1) end,
      ["'linear1.weight.g' must be tensor {4, 9} of float32, got tensor {3}"] = function(tensors)
        tensors["optimizer.linear1.weight.g"] = sm.zeros(3)
      end,
      ["it should have given 70 examples of 48, and stands at 21 of epoch 2"] = number("stream.position", "21"),
      ["it should have given 70 examples of 48, and stands at 22 of epoch 3"] = number("stream.epoch", "3"),
      ["the saved run stood at example 5000 of an epoch, but there are 48"] = number("stream.position", "5000"),
    } do
      put(unfinished, { [last] = changed(change) })
      say("step-000010.safetensors: ", "resume")
      say(words, "resume")
    end
  end)

  it("has files that are called as checkpoints, and are none", function()
    for _, name in ipairs { "step--00001", "step-99999999999999999999", "step-9223372036854775808", "step-7",
      "step-1e3", "step-0000012", "step-00012 ", "step-" } do
      put(unfinished, { ["checkpoints/" .. name .. ".safetensors"] = unfinished[last] })
      has(said_by "eval", "after step 10")
      has(said_by "compare", "unfinished, saved after step 10")
    end
    put(unfinished, { ["checkpoints/step-999999.safetensors"] = unfinished[before] })
    has(said_by "resume", "step-999999.safetensors: its step is '5'")
    assert.same({ "step-000010.safetensors", "step-000012.safetensors", "step-999999.safetensors" },
      tiny.list(path .. "/checkpoints"))
    put(unfinished, { ["checkpoints/step-999999.safetensors"] = changed(metadata("step", "999999")) })
    has(said_by "eval", "step-999999.safetensors: the run has 12 steps")
  end)

  it("has numbers behind a sheet that are none, which the next sheet leaves out", function()
    local first <const> = "step,quantity,group,channel,class,other_group,value\n"
    local function write(step, lines) tiny.write(("%s/x-%06d.csv"):format(workspace, step), first .. lines) end
    write(1, "1,entropy,1,,,,0.5\n")
    for step, value in pairs { [2] = "1e999", [3] = "x", [4] = "nan", [5] = "-inf" } do
      write(step, ("%d,entropy,1,,,,%s\n"):format(step, value))
    end
    tiny.write(workspace .. "/x-99999999999999999999.csv", first)
    tiny.write(workspace .. "/x-000006.csv", "1,entropy,1,,,,0.5\n")
    local moments = sheet_record.history(workspace .. "/", "x", 10, 1)
    assert.same({ { step = 1, 0.5 } }, moments)
  end)

  it("is told by the program as by the library", function()
    put(unfinished, { ["environment.json"] = "[]" })
    for _, command in ipairs { "resume", "eval" } do
      local output, code = tiny.smrun(("%s '%s'"):format(command, path))
      assert.equal(1, code, output)
      assert.equal(("smrun: %s/environment.json: expected a JSON object, found array\n"):format(path), output)
    end
    put(unfinished, { ["experiment.lua"] = "", ["params.json"] = '{"values": {}}' })
    local output, code = tiny.smrun(("resume '%s'"):format(path))
    assert.equal(2, code, output)
    has(output, "is a plain script; there is no run to go on with")
    put(unfinished, { [last] = "", [before] = false })
    has((tiny.smrun(("eval '%s'"):format(path))), "passed over a checkpoint that cannot be read: ")
  end)

  it("is seen, whatever its texts have in them", function()
    local names <const> = '"\\u001b]0;title\\u0007\\u009b31m\\u202e\\u2066\\u200f\\u061c\\u200b\\u2028\\udb40\\udc41"'
    put(finished, { ["environment.json"] = with(with(finished["environment.json"], "experiment", names), "processor",
      names), ["params.json"] = with(finished["params.json"], "values/lr", names) })
    for _, command in ipairs { "compare", "report", "resume", "eval" } do
      local said = said_by(command)
      if command ~= "resume" then assert.equal(visible(said, "\n\t"), said) end
    end
  end)
end)
