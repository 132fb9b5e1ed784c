local metrics = require "sm.experiment.metrics"

local FIRST <const> = "step,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,step_ms"

describe("metrics.csv", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function write(text)
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
  end

  local function read()
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
  end

  it("has the columns of every run first, then those that are declared", function()
    local file = metrics.open(path, metrics.columns {
      { owner = "the optimizer", "step_rms" }, { owner = "view 'a'", "conv1_roughness" }, { owner = "view 'b'" },
    })
    file:write { step = 0, epoch = 0, lr = 0.5, conv1_roughness = 1 }
    file:write { step = 10, step_rms = 0.25, train_loss = 2, unknown = 3 }
    file:close()
    assert.equal(FIRST .. ",step_rms,conv1_roughness\n0,0,,,,,0.5,,,1\n10,,2,,,,,,0.25,\n", read())
    local rows, columns = metrics.rows(path)
    assert.same({ step = 0, epoch = 0, lr = 0.5, conv1_roughness = 1 }, rows[1])
    assert.same({ step = 10, train_loss = 2, step_rms = 0.25 }, rows[2])
    assert.equal("conv1_roughness", columns[10])
    assert.equal(0.25, metrics.median(path, "step_rms"))
    assert.is_nil(metrics.median(path, "nothing"))
  end)

  it("goes on with the columns that it began with, after the row of a step", function()
    write(FIRST .. ",old\n0,0,,,,,1,,\n10,1,,,,,1,5,7\n20,1,,,,,1,5,8\n2")
    local file = metrics.open(path, metrics.columns { { owner = "view 'a'", "new", "old" } }, 10)
    file:write { step = 11, new = 1, old = 2 }
    file:close()
    assert.equal(FIRST .. ",old\n0,0,,,,,1,,\n10,1,,,,,1,5,7\n11,,,,,,,,2\n", read())
  end)

  it("reads files of the eight columns alone", function()
    write(FIRST .. "\n3,1,0.5,,,,0.1,9\n4,1,0.")
    assert.same({ { step = 3, epoch = 1, train_loss = 0.5, lr = 0.1, step_ms = 9 } }, (metrics.rows(path)))
  end)

  it("has no name twice, and none that a reader of CSV would stumble over", function()
    local function message_of(...)
      local ok, message = pcall(metrics.columns, { { owner = "the optimizer", "step_rms" }, ... })
      assert.is_false(ok)
      return message
    end
    assert.matches("view 'a' cannot have the column 'train_loss' in metrics%.csv: every run has it$",
      message_of { owner = "view 'a'", "good", "train_loss" })
    assert.matches("view 'a' cannot have the column 'step_rms' in metrics%.csv: the optimizer has it$",
      message_of { owner = "view 'a'", "step_rms" })
    assert.matches("view 'b' cannot have the column 'x' in metrics%.csv: view 'a' has it$",
      message_of({ owner = "view 'a'", "x" }, { owner = "view 'b'", "x" }))
    for _, name in ipairs { "a,b", "", "a b", 'a"', "a\n", "ä", 5, {} } do
      assert.matches("the name of a column of view 'a' must be letters, digits, _ %. and %-, got ",
        message_of { owner = "view 'a'", name })
    end
    assert.equal("A.b-c_9", metrics.columns { { owner = "view 'a'", "A.b-c_9" } }[9])
  end)

  it("names the line that is no row, and what is wrong with it", function()
    for line, problem in pairs {
      [",0,,,,,1,9"] = "'step' must be a whole number above 1 and at most 2^53, got ''",
      ["1.5,0,,,,,1,9"] = "'step' must be a whole number above 1 and at most 2^53, got '1.5'",
      ["-1,0,,,,,1,9"] = "'step' must be a whole number above 1 and at most 2^53, got '-1'",
      ["1,0,,,,,1,9"] = "'step' must be a whole number above 1 and at most 2^53, got '1'",
      ["x,0,,,,,1,9"] = "'step' must be a number or nothing, got 'x'",
      ["9007199254740993,0,,,,,1,9"] = "'step' must be a whole number above 1 and at most 2^53, got",
      ["9223372036854775808,0,,,,,1,9"] = "'step' must be a whole number above 1 and at most 2^53, got",
      ["2,0,,,,,1,9,7"] = "expected 8 cells, got 9",
      ["2,0,,,,,1"] = "expected 8 cells, got 7",
      ["2,0,1e999,,,,1,9"] = "'train_loss' must be a number or nothing, got '1e999'",
      [""] = "expected 8 cells, got 1",
    } do
      write(FIRST .. "\n1,0,nan,-inf,,,1,9\n" .. line .. "\n")
      local ok, message = pcall(metrics.rows, path)
      assert.is_false(ok)
      assert.truthy(message:find(path .. ", line 3: " .. problem, 1, true), message)
    end
  end)

  it("has each column once", function()
    write(FIRST .. ",a,a\n")
    assert.error_matches(function() metrics.rows(path) end, "two columns are called 'a'")
  end)

  it("is refused where it begins otherwise", function()
    for _, text in ipairs { "", FIRST, "step,epoch\n1,2\n", FIRST .. "s\n", "x" .. FIRST .. "\n" } do
      write(text)
      for _, read_it in ipairs { metrics.rows, function(p) metrics.open(p, {}, 5) end } do
        local ok, message = pcall(read_it, path)
        assert.is_false(ok)
        assert.truthy(message:find(path .. ": expected a header that begins with '" .. FIRST .. "'", 1, true), message)
      end
      assert.equal(text, read())
    end
  end)
end)
