--- Runs that are half copied, cut short, written by others, or out of reach: told with the reason, and left out.
local lfs = require "lfs"
local compare = require "sm.study.compare"
local records = require "sm.study.records"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local helpers = dofile "tests/lua/helpers.lua"
local has = helpers.has

local FIRST <const> = "step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,step_ms"

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

describe("a malformed run", function()
  local workspace, good, bad
  before_each(function()
    workspace = tiny.workspace()
    good = tiny.write_run(workspace, "e/good", 1, { accuracy = 0.5, metrics = "10,1,0.5,0.5,0.4,0.9,0.1,3\n" })
    bad = tiny.write_run(workspace, "e/bad", 2, { accuracy = 0.7, metrics = "10,1,0.5,0.5,0.4,0.9,0.1,3\n" })
  end)
  after_each(function()
    os.execute(("chmod -R u+rwx '%s'"):format(workspace))
    tiny.remove(workspace)
  end)

  --- compare and report leave the bad run out and say why, in words that have nothing of the library's inside.
  local function left_out(...)
    local output, code = tiny.smrun(("compare '%s/e'"):format(workspace))
    assert.equal(0, code, output)
    has(output, "Left out")
    for _, reason in ipairs { ... } do has(output, reason) end
    has(output, "50.00 %")
    assert.is_nil(output:find("70.00 %", 1, true), output)
    assert.is_nil(output:find "%.lua:%d", output)
    assert.is_nil(output:find ": 0x%x+", output)
    output, code = tiny.smrun(("report '%s/e' --out '%s/page.html'"):format(workspace, workspace))
    assert.equal(0, code, output)
    local page = tiny.read(workspace .. "/page.html")
    for _, reason in ipairs { ... } do has(page, (reason:gsub("'", "&#39;"):gsub('"', "&quot;"))) end
  end

  local function with(name, text)
    tiny.write(bad .. "/" .. name, text)
    return name
  end

  local summaries <const> = {
    ['{"experiment": "e"}'] = "there is no seed",
    ['{"seed": null}'] = "there is no seed",
    ['{"seed": "1"}'] = "'seed' must be an integer, got string",
    ['{"seed": 1.5}'] = "'seed' must be an integer, got 1.5",
    ['{"seed": {}}'] = "'seed' must be an integer, got object",
    ['{"seed": 1e999}'] = "'seed' must be a finite number",
    ['{"seed": 1, "test_accuracy": NaN}'] = "byte 30 is not JSON",
    ['{"seed": 1, "test_accuracy": -Infinity}'] = "byte 30 is not JSON",
    ['{"seed": 1, "test_accuracy": "0.9"}'] = "'test_accuracy' must be a number, got string",
    ['{"seed": 1, "median_step_ms": []}'] = "'median_step_ms' must be a number, got array",
    ['{"seed": 1, "experiment": 7}'] = "'experiment' must be a string, got 7",
    ['[1]'] = "expected a JSON object, found array",
    ['5'] = "expected a JSON object, found number",
    ['null'] = "expected a JSON object, found null",
    ['{"seed": 1'] = "expected a JSON object, ",
    [''] = "expected a JSON object, ",
  }
  for text, reason in pairs(summaries) do
    it("may have " .. (text == "" and "nothing" or text) .. " in summary.json", function()
      with("summary.json", text)
      left_out("summary.json: ", reason)
    end)
  end

  local others <const> = {
    { "params.json", '{}', "there are no values" },
    { "params.json", '{"values": 3}', "'values' must be an object, got 3" },
    { "params.json", '{"values": [1, 2]}', "'values' must be an object, got array" },
    { "params.json", '{"values": {"lr": 1e999}}', "'values.lr' must be a finite number" },
    { "params.json", '{"values": {"net": {"sizes": [1, 1e999]}}}', "'values.net.sizes.2' must be a finite number" },
    { "environment.json", '{"git": "x"}', "'git' must be an object, got string" },
    { "environment.json", '{"git": {"revision": 5}}', "git: 'revision' must be a string, got 5" },
    { "environment.json", '{"smrun": {}}', "'smrun' must be a string, got object" },
    { "environment.json", '{"processor": ["x"]}', "'processor' must be a string, got array" },
    { "environment.json", '{"threads": "many"}', "'threads' must be an integer, got string" },
    { "environment.json", '{"data": {"train inputs": {}}}', "'data.train inputs' must be a string, got object" },
    { "metrics.csv", "", "expected a header" },
    { "metrics.csv", FIRST, "expected a header" },
    { "metrics.csv", FIRST .. ",a,b,a\n", "two columns are called 'a'" },
    { "metrics.csv", FIRST .. "\n-1,,,,,,,\n",
      "line 2: 'step' must be a whole number of at least 0 and at most 2^53, got '-1'" },
    { "metrics.csv", FIRST .. "\n5,,,,,,,\n5,,,,,,,\n",
      "line 3: 'step' must be a whole number above 5 and at most 2^53, got '5'" },
    { "metrics.csv", FIRST .. "\n5,,,,1e999,,,\n", "line 2: 'validation_loss' must be a number or nothing, got" },
    { "metrics.csv", FIRST .. "\n5,,,\n6,,,,,,,\n", "line 2: expected 8 cells, got 4" },
  }
  for _, case in ipairs(others) do
    it(("may have %s in %s"):format(case[2]:gsub("^" .. FIRST, "…"):gsub("\n", "\\n"), case[1]), function()
      local path = with(case[1], case[2])
      left_out(case[3]:find "^line" and path .. ", " .. case[3] or case[3])
    end)
  end

  it("may lack a file, or have something else in its place", function()
    for _, name in ipairs { "environment.json", "metrics.csv" } do
      local kept = tiny.read(bad .. "/" .. name)
      os.remove(bad .. "/" .. name)
      left_out("there is no " .. name)
      assert(lfs.mkdir(bad .. "/" .. name))
      left_out(name .. ": expected a file, found a directory")
      lfs.rmdir(bad .. "/" .. name)
      os.execute(("mkfifo '%s/%s'"):format(bad, name))
      left_out(name .. ": expected a file, found a ")
      os.remove(bad .. "/" .. name)
      tiny.write(bad .. "/" .. name, kept)
    end
  end)

  it("keeps the rows before one that was cut short", function()
    with("metrics.csv", FIRST .. "\n10,1,0.5,0.5,0.4,0.9,0.1,3\n20,1,0.")
    local record = records.read(bad)
    assert.same({ 1, 10 }, { #record.rows, record.rows[1].step })
  end)

  it("has no figure where there was no finite one", function()
    with("metrics.csv", FIRST .. "\n10,1,inf,-nan,0.4,0.9,0.1,3\n")
    assert.same({ step = 10, epoch = 1, validation_loss = 0.4, validation_accuracy = 0.9, lr = 0.1, step_ms = 3 },
      records.read(bad).rows[1])
  end)

  it("is compared and reported where its numbers are huge, or its summary has the seed alone", function()
    for i, summary in ipairs {
      '"test_loss": 1.7e308, "wall_seconds": 1e300, "steps": 9007199254740992, "median_step_ms": 1e300',
      '"test_loss": -1.7e308, "training_seconds": 1e17, "parameters": 4611686018427387904', "",
    } do
      for seed = 1, 3 do
        local path = tiny.write_run(workspace, ("h/lr=%d,seed=%d"):format(i, seed), seed, { values = { lr = i },
          metrics = "9007199254740991,1,0.5,0.5,0.4,0.9,0.1,1e300\n9007199254740992,1,,,0.4,0.95,0.1,1e300\n" })
        tiny.write(path .. "/summary.json", ('{"seed": %d%s%s}'):format(seed, summary == "" and "" or ", ", summary))
        local output, code = tiny.smrun(("report '%s'"):format(path))
        assert.equal(0, code, output)
      end
    end
    for _, command in ipairs { "compare '%s/h'", "compare '%s/h' --figure train_loss", "report '%s/h'" } do
      local output, code = tiny.smrun(command:format(workspace))
      assert.equal(0, code, output)
      assert.is_nil(output:find "Left out", output)
    end
    local page = tiny.read(workspace .. "/h/report.html")
    has(page, "9 runs")
    assert.is_nil(page:find("<h3>Left out</h3>", 1, true))
  end)

  it("may vanish while it is read, with any of its files", function()
    for _, name in ipairs { "params.json", "summary.json", "environment.json", "metrics.csv", "experiment.lua" } do
      local path = tiny.write_run(workspace, "f/" .. name, 1, { accuracy = 0.5 })
      local found = {}
      records.find(workspace .. "/f", found)
      os.remove(path .. "/" .. name)
      local read, unread = records.read_all(found)
      assert.equal(1, #read + #unread)
      if name == "summary.json" then assert.is_nil(read[1].summary) else has(unread[1].reason, name) end
      tiny.remove(path)
      read, unread = records.read_all(found)
      assert.same({ 0, 1 }, { #read, #unread })
    end
  end)

  it("may be out of reach: the others are compared", function()
    local user <const> = "nobody"
    local is_root = output_of "id -u" == "0\n"
    local prefix = is_root and ("setpriv --reuid=%s --clear-groups "):format(user) or ""
    if is_root and not os.execute("setpriv --reuid=" .. user .. " --clear-groups true 2>/dev/null") then
      return pending "root can read everything, and there is no setpriv to drop it with"
    end
    local program = os.getenv "SMRUN" or "build/smrun"
    if is_root and not os.execute(("%s '%s' -e 'require [[sm]]' >/dev/null 2>&1"):format(prefix, program)) then
      return pending "the program is out of another user's reach"
    end
    tiny.write_run(workspace, "e/inner/run", 3, { accuracy = 0.6 })
    os.execute(("chmod a+rx '%s' && chmod 0 '%s' '%s/e/inner' '%s/metrics.csv'"):format(workspace, bad, workspace,
      good))
    tiny.write_run(workspace, "e/open", 4, { accuracy = 0.8 })
    local pipe = io.popen(("%s %s compare '%s/e' 2>&1"):format(prefix, program, workspace))
    local output = pipe:read "a"
    local _, _, code = pipe:close()
    assert.equal(0, code, output)
    has(output, "80.00 %")
    for _, place in ipairs { "e/bad", "e/inner" } do
      assert.truthy(output:find(place .. " +the directory cannot be read: Permission denied"), output)
    end
    has(output, "metrics.csv: Permission denied")
    pipe = io.popen(("%s %s compare '%s/e/inner' 2>&1"):format(prefix, program, workspace))
    output = pipe:read "a"
    _, _, code = pipe:close()
    assert.equal(2, code, output)
    has(output, "the directory cannot be read: Permission denied")
    pipe = io.popen(("%s %s compare '%s/e/inner' '%s/e/open' 2>&1"):format(prefix, program, workspace, workspace))
    output = pipe:read "a"
    _, _, code = pipe:close()
    assert.equal(0, code, output)
    has(output, "80.00 %")
    has(output, "the directory cannot be read: Permission denied")
    pipe = io.popen(("%s %s eval '%s/e/inner' 2>&1"):format(prefix, program, workspace))
    has(pipe:read "a", "e/inner/experiment.lua': Permission denied")
    pipe:close()
  end)
end)

describe("links to runs", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function link(target, name)
    assert(lfs.link(target, workspace .. "/" .. name, true))
  end

  it("are followed, each run once, by its own path where it has one", function()
    for seed = 1, 3 do tiny.write_run(workspace, "all/e/seed=" .. seed, seed, { accuracy = seed / 10 }) end
    assert(lfs.mkdir(workspace .. "/chosen"))
    link("../all/e/seed=2", "chosen/best")      -- a run
    link("../all/e", "chosen/everything")       -- a directory with runs
    link("../all/e/seed=1", "all/a-first")      -- a run that lies here itself
    link("..", "all/e/up")                      -- endless, if followed more than once
    link("itself", "chosen/itself")
    link("nowhere", "chosen/dangling")
    local found, unread = {}, {}
    assert.equal(3, records.find(workspace .. "/all", found, unread))
    assert.same({ workspace .. "/all/e/seed=1", workspace .. "/all/e/seed=2", workspace .. "/all/e/seed=3" },
      { table.unpack(found) })
    assert.same({}, unread)
    found = {}
    assert.equal(3, records.find(workspace .. "/chosen", found, unread))
    assert.equal(workspace .. "/chosen/best", found[1])
    assert.same({
      { path = workspace .. "/chosen/dangling",
        reason = "the link to nowhere cannot be followed: No such file or directory" },
      { path = workspace .. "/chosen/itself",
        reason = "the link to itself cannot be followed: Too many levels of symbolic links" },
    }, { unread[1].path < unread[2].path and unread[1] or unread[2],
      unread[1].path < unread[2].path and unread[2] or unread[1] })
    found = {}
    assert.equal(1, records.find(workspace .. "/chosen/best", found))
    local output, code = tiny.smrun(("compare '%s/chosen' '%s/all'"):format(workspace, workspace))
    assert.equal(0, code, output)
    assert.truthy(output:find "%s3%s+20%.00 ± 10%.00 %%", output)
    has(output, "dangling   the link to nowhere cannot be followed")
    has(output, "Left out")
  end)
end)

describe("a search for runs", function()
  it("ends, and says so, where a link leads to more than can be searched", function()
    local workspace = tiny.workspace()
    tiny.write_run(workspace, "e/a", 1, { accuracy = 0.5 })
    assert(lfs.link("/", workspace .. "/e/link", true))
    local most <const>, found, unread = records.most_entries, {}, {}
    records.most_entries = 50
    records.find(workspace .. "/e", found, unread)
    records.most_entries = most
    tiny.remove(workspace)
    assert.equal(workspace .. "/e/a", found[1])
    assert.equal(workspace .. "/e", unread[#unread].path)
    has(unread[#unread].reason, "more than 50 files and directories are there; not all were searched")
  end)
end)

describe("compare, told by names and values", function()
  local workspace
  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  it("shows what cannot be seen, and keeps it in CSV", function()
    for i, value in ipairs { [["a\nb"]], [["a\u001b[31mb"]], [["x,\"y\""]] } do
      tiny.write_run(workspace, "e/" .. i, 1, { values = { note = value }, accuracy = i / 10 })
    end
    local output, code = tiny.smrun(("compare '%s/e' --csv '%s/out.csv'"):format(workspace, workspace))
    assert.equal(0, code, output)
    has(output, [[a\nb ]])
    has(output, [[a\27[31mb]])
    assert.is_nil(output:find "\27")
    local csv = tiny.read(workspace .. "/out.csv")
    has(csv, '\n"a\nb",1,')
    has(csv, '\na\27[31mb,1,')
    has(csv, '\n"x,""y""",1,')
  end)

  it("keeps apart what differs inside a value", function()
    for i, value in ipairs { '{"b": [1, 2], "a": true}', '{"a": true, "b": [1, 2]}', '{"a": true}', "null" } do
      tiny.write_run(workspace, "e/" .. i, i, { values = { net = value }, accuracy = 0.5 })
    end
    local found = {}
    records.find(workspace .. "/e", found)
    local comparison = compare.runs(found)
    assert.equal(3, #comparison.settings)
    assert.same({ "=net" }, comparison.columns)
  end)
end)
