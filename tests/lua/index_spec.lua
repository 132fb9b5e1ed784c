local lfs = require "lfs"
local compare = require "sm.study.compare"
local helpers = dofile "tests/lua/helpers.lua"
local index = require "sm.study.index"
local listing = require "sm.study.listing"
local many = dofile "tests/lua/many_runs.lua"
local records = require "sm.study.records"
local report = require "sm.report"
local sqlite = require "sm.sqlite"
local tabulate = require "sm.study.tables"
local tiny = dofile "tests/lua/tiny_experiment.lua"

local has = helpers.has

--- Fails with the first line in which two long texts differ.
local function same(expected, text, about)
  if expected == text then return end
  local lines = text:gmatch "[^\n]*"
  for line in expected:gmatch "[^\n]*" do
    local other = lines()
    if line ~= other then
      error(("%s: expected %q, got %q"):format(about or "", line:sub(1, 300), (other or "its end"):sub(1, 300)), 2)
    end
  end
  error(("%s: more than was expected"):format(about or ""), 2)
end

describe("an index of runs", function()
  local workspace, runs, file, settled, read, count, page

  before_each(function()
    workspace, page = tiny.workspace(), false -- whether the report is looked at, too
    runs = workspace .. "/runs"
    file = runs .. "/.index.sqlite"
    settled, index.settled = index.settled, -1 -- the files of a test are never old
    read, count = records.read, 0
    records.read = function(...)
      count = count + 1
      return read(...)
    end
    many.make_all(runs, 20, { seeds = 4 })
    many.make(runs, 20, { seeds = 4, unfinished = true })
  end)

  after_each(function()
    records.read, index.settled = read, settled
    tiny.remove(workspace)
  end)

  local function found_in(word)
    local found, unread, stamps = {}, {}, {}
    records.find(word, found, unread, stamps)
    return found, unread, stamps
  end

  --- What is said of runs, read by a function(paths, stamps) → records, left_out.
  local function said(word, reader)
    local found, _, stamps = found_in(word)
    local all, left_out = reader(found, stamps)
    local reasons = {}
    for i, one in ipairs(left_out) do reasons[i] = one.path .. ": " .. one.reason end
    local comparison = compare.records(all, left_out)
    return table.concat({ listing.text(all, { "lr", "train_loss" }), listing.csv(all), tabulate.text(comparison),
      tabulate.csv(comparison), table.concat(reasons, "\n"),
      page and report.page(found, nil, nil, { all, left_out }):gsub("written [%d: -]+ UTC", "") or "" }, "\n")
  end

  local function with(word)
    count = 0
    local text = said(word or runs, function(found, stamps)
      return index.read_all(found, { word or runs }, stamps, true)
    end)
    return text, count
  end

  local function without(word)
    return said(word or runs, function(found) return records.read_all(found, true) end)
  end

  it("says what the directories say, and reads them once", function()
    page = true
    local expected = without()
    local text, times = with()
    same(expected, text)
    assert.equal(21, times)
    text, times = with()
    same(expected, text)
    assert.equal(0, times)
  end)

  it("knows runs of version 0.1.0, and those that a loop in Lua made", function()
    page = true
    os.execute(("cp -r tests/data/run_0_1_0/. '%s'"):format(runs))
    tiny.write_run(runs, "loop/a", 1, { accuracy = 0.5 })
    local expected = without()
    for _ = 1, 2 do same(expected, (with())) end
    os.rename(runs .. "/waves", runs .. "/tides") -- whose runs are called by their place
    same(without(), (with()))
  end)

  it("serves a directory within, and a single run, from the one above", function()
    with()
    local path = found_in(runs)[1]
    for _, word in ipairs { runs .. "/many", path } do
      local text, times = with(word)
      same(without(word), text)
      assert.equal(0, times)
    end
    assert.is_nil(lfs.attributes(runs .. "/many/.index.sqlite"))
    assert.is_nil(lfs.attributes(path .. "/.index.sqlite"))
    assert.equal(0, select(2, with())) -- no row was lost
  end)

  it("notices what is new, changed, growing, gone and half copied", function()
    page = true
    with()
    local paths = found_in(runs)
    many.make(runs, 30, { seeds = 4 })
    tiny.remove(paths[2])
    helpers.write(paths[3] .. "/summary.json", (helpers.read(paths[3] .. "/summary.json"):gsub("0%.9", "0.8")))
    os.remove(paths[4] .. "/environment.json")
    local unfinished = many.make(runs, 31, { seeds = 4, unfinished = true })
    local expected = without()
    has(expected, paths[4] .. ": there is no environment.json")
    local text, times = with()
    same(expected, text)
    assert.equal(4, times)
    local csv <close> = assert(io.open(unfinished .. "/metrics.csv", "a"))
    csv:write "600,6,0.1,0.9,0.1,0.97,0.001,5,0.001\n"
    csv:close()
    helpers.write(unfinished .. "/checkpoints/step-000600.safetensors", "")
    expected = without()
    has(expected, "unfinished, saved after step 600")
    text, times = with()
    same(expected, text)
    assert.equal(2, times) -- and that which cannot be read
  end)

  it("sees a change that leaves size and time as they were", function()
    with()
    local path = found_in(runs)[1] .. "/summary.json"
    local before = lfs.attributes(path)
    local stream <close> = assert(io.open(path, "r+"))
    local text = stream:read "a"
    stream:seek("set", text:find('"test_accuracy": 0%.9') + #'"test_accuracy": 0.' - 1)
    stream:write "1"
    stream:close()
    os.execute(("touch -d @%d '%s'"):format(before.modification, path))
    same(without(), (with()))
  end)

  it("does not rely on what was changed a moment ago", function()
    index.settled = 2
    assert.equal(21, select(2, with()))
    assert.equal(21, select(2, with()))
  end)

  it("is written where that is worth it", function()
    many.make_all(workspace .. "/more", 130)
    local function time() return lfs.attributes(workspace .. "/more/.index.sqlite", "ino") end
    with(workspace .. "/more")
    local first = time()
    many.make(workspace .. "/more", 200)
    assert.equal(1, select(2, with(workspace .. "/more")))
    assert.equal(first, time())
    many.make(workspace .. "/more", 201)
    many.make(workspace .. "/more", 202)
    assert.equal(3, select(2, with(workspace .. "/more")))
    assert.not_equal(first, time())
    assert.equal(0, select(2, with(workspace .. "/more")))
  end)

  it("is made anew where it is damaged, at any byte", function()
    with()
    local whole, expected = helpers.read(file), without()
    math.randomseed(7)
    for _ = 1, 40 do
      local at = math.random(#whole)
      local byte = (whole:byte(at) + math.random(255)) % 256
      helpers.write(file, whole:sub(1, at - 1) .. string.char(byte) .. whole:sub(at + 1))
      local text, times = with()
      same(expected, text)
      assert.equal(21, times)
    end
    for _, length in ipairs { 0, 1, 7, 8, 9, 100, 4096, 4104, #whole // 2, #whole - 8, #whole - 1 } do
      helpers.write(file, whole:sub(1, length))
      same(expected, (with()))
      assert.equal(0, select(2, with()))
    end
    os.remove(file)
    same(expected, (with()))
    assert.equal(0, select(2, with()))
  end)

  --- The index with a statement done to it, as a stranger would make one, whose checksum is right.
  local function forge(...)
    local database <close> = assert(sqlite.open(runs, ".index.sqlite", 1 << 30))
    local copy <close> = assert(sqlite.new())
    local function run(sql, rows) return assert(copy:run(sql, rows)) end
    for _, row in ipairs(assert(database:run "SELECT sql FROM sqlite_schema ORDER BY rowid")) do run(row[1]) end
    for _, name in ipairs { "made", "text", "run" } do
      local rows = assert(database:run("SELECT * FROM " .. name))
      local marks = ("?,"):rep(#rows[1]):sub(1, -2)
      run(("INSERT INTO %s VALUES (%s)"):format(name, marks), rows)
    end
    for _, sql in ipairs { ... } do run(sql) end
    helpers.write(file, copy:bytes())
  end

  it("believes no other schema, no other version and no row of other files", function()
    local expected = without()
    for _, sql in ipairs {
      "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END",
      "CREATE VIEW v AS SELECT 1", "CREATE INDEX i ON run(path)", "CREATE TABLE more(x)",
      "ALTER TABLE run ADD COLUMN more", "DROP TABLE text", "UPDATE made SET by = 'smrun 0.0.1'",
      "UPDATE run SET stamp = stamp || 'x'", "UPDATE run SET stamp = 1", "DELETE FROM run",
      "INSERT INTO run SELECT '../' || path, stamp, record FROM run",
    } do
      os.remove(file)
      with()
      forge(sql)
      same(expected, (with()), sql)
    end
  end)

  it("takes no harm from rows that are none", function()
    with()
    for _, sql in ipairs { "UPDATE run SET record = 'x'", "UPDATE run SET record = 7", "UPDATE run SET record = NULL",
      "DELETE FROM text", "UPDATE run SET record = substr(record, 1, 30)", "UPDATE run SET path = NULL",
      "UPDATE text SET number = number + 1000" } do
      os.remove(file)
      with()
      forge(sql)
      same(without(), (with()), sql)
    end
  end)

  it("is not reached through a link, and leaves what lies in its place", function()
    local elsewhere = workspace .. "/elsewhere"
    with()
    os.rename(file, elsewhere)
    local kept = helpers.read(elsewhere)
    lfs.link(elsewhere, file, true)
    local _, times = with()
    assert.equal(21, times)
    assert.equal(kept, helpers.read(elsewhere))
    os.remove(file)
    lfs.mkdir(file)
    same(without(), (with()))
    assert.equal("directory", lfs.attributes(file, "mode"))
    lfs.rmdir(file)
    os.execute(("mkfifo '%s'"):format(file))
    same(without(), (with()))
  end)

  it("may be of a place where nothing can be written", function()
    os.execute(("chmod a-w '%s'"):format(runs)) -- which does not keep root from it
    same(without(), (with()))
    os.execute(("chmod u+w '%s'"):format(runs))
  end)

  it("is read and written by several at once, while runs are made", function()
    local command = {}
    for i = 1, 6 do
      command[i] = ("\"$SMRUN\" %s runs --csv - >%d 2>&1 || echo failed >>bad &"):format(
        i % 2 == 0 and "list" or "query 'steps > 0'", i)
    end
    helpers.write(workspace .. "/go", table.concat(command, "\n") .. "\nwait\n")
    local running = io.popen(("cd '%s' && SMRUN='%s' sh go"):format(workspace, helpers.smrun))
    for number = 40, 60 do many.make(runs, number, { seeds = 4 }) end
    running:close()
    assert.is_nil(lfs.attributes(workspace .. "/bad"))
    local left = {}
    for name in lfs.dir(runs) do
      if name:sub(1, 1) == "." and #name > 2 then left[#left + 1] = name end
    end
    assert.same({ ".index.sqlite" }, left)
    same(without(), (with()))
  end)

  it("makes a thousand runs quick to look at", function()
    many.make_all(workspace .. "/thousand", 1000)
    local word = workspace .. "/thousand"
    local function timed()
      local found, _, stamps = found_in(word)
      local began = os.clock()
      index.read_all(found, { word }, stamps)
      return os.clock() - began
    end
    local cold = timed()
    assert.is_true(timed() < cold / 4)
  end)
end)

describe("a database in memory", function()
  it("takes and gives bytes", function()
    local database <close> = assert(sqlite.new())
    assert.same({}, database:run "CREATE TABLE t(a, b)")
    assert.same({}, database:run("INSERT INTO t VALUES (?, ?)", { { "a\0b", 1 }, { 0.5, nil }, { "\xff", "" } }))
    assert.same({ { "a\0b", 1 }, { 0.5, false }, { "\xff", "" } }, database:run "SELECT a, b FROM t")
    assert.same({ nil, "no such table: u" }, { database:run "SELECT * FROM u" })
  end)

  it("opens no file and runs nothing of another's", function()
    local database <close> = assert(sqlite.new())
    database:run "CREATE TABLE t(a)"
    database:run "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO t VALUES (2); END"
    database:run "INSERT INTO t VALUES (1)"
    assert.same({ { 1 } }, database:run "SELECT a FROM t")
    assert.is_nil((database:run "ATTACH '/tmp/x' AS x"))
    assert.is_nil((database:run "SELECT load_extension('x')"))
    assert.is_nil((database:run "SELECT writefile('x', 'y')"))
    database:run "PRAGMA writable_schema = ON"
    assert.is_nil((database:run "UPDATE sqlite_schema SET sql = 'x'"))
  end)

  it("says what is wrong with its arguments", function()
    local database = assert(sqlite.new())
    has(helpers.error_of(database.run, database, "SELECT ?", { 1 }), "row 1 is no table")
    has(helpers.error_of(database.run, database, "SELECT ?", { { {} } }), "neither a number nor a string")
    has(helpers.error_of(database.run, {}, "SELECT 1"), "a database")
    database:close()
    database:close()
    has(helpers.error_of(database.run, database, "SELECT 1"), "this database is closed")
  end)
end)
