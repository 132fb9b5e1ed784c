local helpers = dofile "tests/lua/helpers.lua"
local listing = require "sm.study.listing"
local many = dofile "tests/lua/many_runs.lua"
local query = require "sm.study.query"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local has, message = helpers.has, helpers.message

--- A record as sm.study.records gives it.
local function run(path, values, summary, last, started)
  return {
    path = path, name = "e", seed = values.seed, values = values, summary = summary, started = started,
    progress = { step = 50, last = last or {} }, environment = {},
  }
end

local function runs()
  return {
    run("a", { groups = 2, unit = "relu", seed = 1, flip = true, steps = 7 }, { test_accuracy = 0.99, steps = 100 },
      { lr = 0.1, ["conv1_used.x-y"] = 3 }, "2026-11-27T21:14:06Z"),
    run("b", { groups = 4, unit = "softmax", seed = 2, flip = false, steps = 7 }, { test_accuracy = 0.994,
      steps = 200 }, { lr = 0.2 }, "2026-11-28T09:00:00Z"),
    run("c", { groups = 8, unit = "softmax", seed = 3, ["größe; DROP"] = "x'y\"z" }, nil, { lr = 0.3 }),
  }
end

local function found(question, list)
  local names = {}
  for i, record in ipairs(query.read(question, list or runs()).select()) do names[i] = record.path end
  return table.concat(names, " ")
end

describe("a question about runs", function()
  it("compares numbers, texts and names", function()
    for question, expected in pairs {
      ["groups = 4"] = "b", ["groups == 4.0"] = "b", ["groups != 4"] = "a c", ["groups <> 4"] = "a c",
      ["groups ~= 4"] = "a c", ["groups < 4"] = "a", ["groups <= 4"] = "a b", ["groups>4"] = "c", ["groups>=4"] = "b c",
      ["4 <= groups"] = "b c", ["test_accuracy > 0.993"] = "b", ["test_accuracy > 99.3%"] = "b",
      ["test_accuracy > 9.93e-1"] = "b", ["test_accuracy > -1"] = "a b", ["unit = softmax"] = "b c",
      ["unit = 'softmax'"] = "b c", ['unit != "softmax"'] = "a", ["unit < softmax"] = nil, ["unit < 'softmax'"] = "a",
      ["flip = true"] = "a", ["flip = false"] = "b", ["flip != true"] = "b", ["seed >= 2"] = "b c", ["run = b"] = "b",
      ["experiment = e"] = "a b c", ["state = finished"] = "a b", ["state = unfinished"] = "c", ["steps = 50"] = "c",
      ["steps >= 100"] = "a b", ["param.steps = 7"] = "a b", ["summary.steps = 100"] = "a",
      ["metrics.lr < 0.25"] = "a b",
      ["lr > groups"] = "", ["lr < groups"] = "a b c", ["`conv1_used.x-y` = 3"] = "a", ["conv1_used.x-y = 3"] = "a",
      ["`größe; DROP` != ''"] = "c", ["date = 2026-11-27"] = "a", ["date >= 2026-11-27"] = "a b",
      ["date > 2026-11-27"] = "b", ["date < 2026-11-28T10"] = "a b", ["date <= 2026-11"] = "a b",
      ["date > '2026'"] = "",
    } do
      assert.equal(expected, found(question), question)
    end
  end)

  it("joins comparisons: not before and before or", function()
    for question, expected in pairs {
      ["groups = 2 or groups = 4 and seed = 9"] = "a", ["(groups = 2 or groups = 4) and seed = 2"] = "b",
      ["not groups = 2"] = "b c", ["not (groups = 2 or groups = 8)"] = "b", ["not not groups = 2"] = "a",
      ["groups = 2 OR groups = 8 AND NOT seed = 9"] = "a c", ["groups = 2 || groups = 8 && !(seed = 9)"] = "a c",
    } do
      assert.equal(expected, found(question), question)
    end
  end)

  it("is neither true nor false of a run that has not what it asks for", function()
    assert.equal("", found "test_accuracy > 0.9 and state = unfinished")
    assert.equal("a b", found "test_accuracy != 0.5")
    assert.equal("a b", found "not test_accuracy = 0.5")
    assert.equal("c", found "test_accuracy > 2 or seed = 3")
    assert.equal("", found "not (test_accuracy > 2 or groups = 2) and seed = 3")
  end)

  it("says what is wrong with it", function()
    for question, expected in pairs {
      ["test_acuracy > 1"] = "no run has a 'test_acuracy'; did you mean 'test_accuracy'?",
      ["test_accuracy > validaton"] = "no run has a 'validaton'", ["zzzzzz = 1"] = "there are conv1_used.x-y, date",
      ["groups >"] = "expected a name, a number or a text at character 9, got its end",
      ["groups 4"] = "expected a comparison such as > or = at character 8, got '4'",
      [""] = "expected a name at character 1",
      ["groups > 4)"] = "expected 'and', 'or' or its end at character 11, got ')'",
      ["(groups > 4"] = "expected ')' at character 12, got its end", ["groups > 4 groups"] = "got 'groups'",
      ["groups => 4"] = "character 8", ["groups > 'x"] = "got ''x'", ["a; drop table run"] = "character 2",
      ["groups > x'"] = "character 11", ["unit > 3"] = "'unit' is a text, and is compared by > with a number",
      ["groups = four"] = "'groups' is a number, and is compared by = with a text",
      ["flip > true"] = "'flip' is true or false, and is compared by > with true or false",
      ["state = finshed"] = "'state' is finished or unfinished, got 'finshed'; did you mean 'finished'?",
      [("("):rep(200) .. "groups = 1" .. (")"):rep(200)] = "at most 100 levels of brackets",
      [("not "):rep(200) .. "groups = 1"] = "at most 100 levels of brackets",
      [("x"):rep(10001)] = "at most 10000 bytes",
      ["groups = 1 \27[2J"] = "\\27[2J", ["os.exit() = 1"] = "no run has a 'os.exit'", ["4abc = 1"] = "character 1",
    } do
      has(message(function() found(question) end), expected)
    end
  end)

  it("has an end, whatever it is", function()
    math.randomseed(11)
    local words = { "groups", "=", ">", "(", ")", "and", "or", "not", "4", "'x'", "`", "%", "\0", "\xff", "größe", "-",
      ".", "2026-11-27", "test_accuracy", "!", "&&", "~", "\"", "1e", "1e9", "99%", "state", "true" }
    local fine = 0
    for _ = 1, 3000 do
      local parts = {}
      for i = 1, math.random(8) do parts[i] = words[math.random(#words)] end
      local ok, problem = pcall(found, table.concat(parts, math.random(2) == 1 and " " or ""))
      assert.is_true(ok or require "sm.usage".is(problem), tostring(problem))
      fine = fine + (ok and 1 or 0)
    end
    assert.is_true(fine > 0)
  end)

  it("orders runs, those without a figure last", function()
    local function ordered(order)
      local names = {}
      for i, record in ipairs((query.order(order, runs()))) do names[i] = record.path end
      return table.concat(names, " ")
    end
    assert.equal("a b c", ordered "test_accuracy")
    assert.equal("b a c", ordered "test_accuracy desc")
    assert.equal("a b c", ordered "unit asc")
    assert.equal("b c a", ordered "unit desc")
    assert.equal("c a b", ordered "`größe; DROP`")
    has(message(ordered, "test_acc"), "did you mean 'test_accuracy'?")
  end)
end)

describe("a list of runs", function()
  it("has a row in CSV for each, which no spreadsheet computes", function()
    local csv = listing.csv {
      run("a,b", { groups = 2, formula = "=1+1", seed = 1 }, { seed = 1, steps = 3, note = "x\ny" }),
      run("c", { groups = 4 }),
    }
    assert.equal('run,experiment,seed,state,steps,date,formula,groups,param.seed,note,summary.seed,summary.steps\n'
      .. '"a,b",e,1,finished,3,,\'=1+1,2,1,"x\ny",1,3\nc,e,,unfinished,50,,,4,,,,\n', csv)
  end)

  it("fits a terminal, and is a line each elsewhere", function()
    for _, columns in ipairs { 60, 80, 120 } do
      for line in listing.text(runs(), { "groups", "test_accuracy" }, columns):gmatch "[^\n]+" do
        assert.is_true(utf8.len(line) <= columns, line)
      end
    end
    local _, lines = listing.text(runs(), {}, nil):gsub("\n", "")
    assert.equal(3, lines)
  end)
end)

describe("list and query", function()
  local workspace

  before_each(function()
    workspace = tiny.workspace()
    many.make_all(workspace .. "/runs", 6, { seeds = 3 })
    many.make(workspace .. "/runs", 6, { seeds = 3, unfinished = true })
  end)
  after_each(function() tiny.remove(workspace) end)

  local function smrun(words)
    return helpers.shell(workspace, '"$SMRUN" ' .. words)
  end

  it("show runs", function()
    local status, output = smrun "list"
    assert.equal(0, status)
    local _, lines = output:gsub("\n", "")
    assert.equal(8, lines)
    has(output, "runs/many/groups=2,lr=0.001,seed=3,batch=10")
    status, output = smrun "query 'state = unfinished'"
    assert.equal(0, status)
    has(output, "runs/many/groups=2,lr=0.003,seed=1,batch=10   unfinished     500")
    status, output = smrun "query 'lr = 0.001' runs/many --order 'test_accuracy desc' --top 1 --paths"
    assert.equal(0, status)
    has(output, "runs/many/groups=2,lr=0.001,seed=")
    assert.equal(1, select(2, output:gsub("\n", "")))
    status, output = smrun "query 'lr = 5'"
    assert.same({ 0, "0 of 7 runs\n" }, { status, output })
    status, output = smrun "list --csv all.csv --quiet 2>&1"
    assert.equal(2, status)
    has(output, "option '--quiet' does not go with 'list'")
  end)

  it("name what cannot be read", function()
    local broken = "runs/many/groups=2,lr=0.001,seed=3,batch=10"
    helpers.write(workspace .. "/" .. broken .. "/params.json", "{")
    local status, output, errors = smrun "list --paths"
    assert.equal(0, status)
    assert.equal(6, select(2, output:gsub("\n", "")))
    has(errors, "left out " .. broken .. ": params.json: expected a JSON object")
  end)

  it("say what is wrong", function()
    for words, expected in pairs {
      ["query"] = "'query' needs TEXT", ["query 'tset_accuracy > 1'"] = "did you mean 'test_accuracy'?",
      ["list nowhere"] = "no such run directory 'nowhere'", ["list --top 0"] = "'--top' must be an integer from 1",
      ["list --order nothing"] = "no run has a 'nothing'", ["lst"] = "did you mean 'list'?",
    } do
      local status, _, errors = smrun(words)
      assert.equal(2, status, words)
      has(errors, expected)
    end
    local status, _, errors = helpers.shell(workspace .. "/runs/many", '"$SMRUN" list')
    assert.equal(2, status)
    has(errors, "there is no directory 'runs' here")
  end)
end)
