--- The reference has everything that is public, and notices what has no words; tables of names name what there is.
local sm = require "sm"
local check = require "sm.check"
local collect = require "sm.reference.collect"
local helpers = require "tests.lua.helpers"
local markdown = require "docs.reference.markdown"
local page = require "docs.reference.page"
local records = require "sm.ops.records"
local text = require "sm.reference.text"
local tensor_methods = require "sm.tensor".methods

--- What collect misses, in one text.
local function missing()
  local _, list = collect.collect()
  return table.concat(list, "\n")
end

--- Whether collect misses what a change leaves without words; the change is undone.
local function notices(expected, change, undo)
  change()
  local ok, list = pcall(missing)
  undo()
  assert(ok, list)
  helpers.has(list, expected)
end

describe("the reference", function()
  it("has words for every public name and every option", function()
    assert.equal("", missing())
  end)

  it("notices a record without words", function()
    local first = records[1]
    local doc = first.doc
    notices(first.name .. ": the record's doc", function() first.doc = "x:" .. first.name end,
      function() first.doc = doc end)
  end)

  it("notices an option without words, of a record, a layer and a view", function()
    for _, case in ipairs { { check.specs["nn.linear"], "bias", "nn.linear: option bias" },
      { check.specs["view.paint"], "shown", "view.paint: option shown" },
      { check.specs["experiment: schedule"], "keep", "sm.experiment: option schedule.keep" } } do
      local rule = case[1][case[2]]
      local doc = rule.doc
      notices(case[3], function() rule.doc = nil end, function() rule.doc = doc end)
    end
  end)

  it("notices a layer, a method and a function without a comment", function()
    local function plain() end
    notices("nn.unheard: no ---", function() rawset(check.behind[sm.nn], "unheard", plain) end,
      function() rawset(check.behind[sm.nn], "unheard", nil) end)
    notices("x:unheard: no ---", function() rawset(tensor_methods, "unheard", plain) end,
      function() rawset(tensor_methods, "unheard", nil) end)
  end)

  it("is not written where something is missing", function()
    local preload = [[package.preload["sm.reference.collect"] = function()
      return { collect = function() return {}, { "x:y: no words" } end }
    end]]
    local pipe <close> = assert(io.popen(("lua5.4 -e '%s' docs/reference/make.lua build/none 2>&1; echo $?"):format(
      preload)))
    assert.equal("undocumented:\n  x:y: no words\n1\n", pipe:read "a")
  end)

  -- A record's options are what check.options gets: so the reference shows what an operation really takes.
  it("shows the options that operations check", function()
    local known = {}
    for _, record in ipairs(records) do known[record.options or record] = true end
    for _, spec in pairs(check.specs) do known[spec] = true end
    local checked, unknown = check.options, {}
    finally(function() check.options = checked end)
    check.options = function(where, given, spec)
      if not known[spec] then unknown[where] = true end
      return checked(where, given, spec)
    end
    local function ones(dtype)
      return function(first, ...)
        return type(first) == "table" and sm.tensor(first, dtype) or sm.full({ first, ... }, 1, dtype)
      end
    end
    local s = { real = ones(), int32 = ones "int32", uint8 = ones "uint8", tensor = sm.tensor }
    for _, record in ipairs(records) do
      for _, sample in ipairs(record.samples(s)) do
        local last = 0
        for i in pairs(sample) do last = math.type(i) == "integer" and math.max(last, i) or last end
        pcall(record.f, table.unpack(sample, 1, last)) -- what ones are no sample of fails, after its options
      end
    end
    local names = {}
    for where in pairs(unknown) do names[#names + 1] = where end
    table.sort(names)
    assert.equal("", table.concat(names, ", "), "no record names these options")
  end)

  it("is a page that stands alone, with an entry for each name", function()
    local rooms = collect.collect()
    local html, seen = page.render(rooms, sm.version), {}
    for _, room in ipairs(rooms) do
      for _, entry in ipairs(room.entries) do
        local id = 'article id="' .. entry.name:gsub("[^%w_.]", "-") .. '"'
        assert.is_nil(seen[id], id .. " stands there twice")
        seen[id] = true
        helpers.has(html, id)
      end
    end
    assert.is_nil(html:find "{{%l+}}")
    assert.is_nil(html:find "src=") -- nothing that a browser would fetch
    assert.is_nil(html:find "https?://")
    assert.is_true(#html > 50000)
  end)

  it("shows what an option takes", function()
    local options = text.options {
      { type = "integer", required = true, min = 1, doc = "a" }, { type = "integer", required = true, doc = "a" },
      mode = { type = "string", choices = { "one", "two" }, default = "one", doc = "b" },
      rate = { type = { "real", "function" }, default = 1e-3, above = 0, below = math.huge, doc = "c" },
    }
    assert.same({ key = "1 … 2", takes = "integer, at least 1", required = true, doc = "a" }, options[1])
    assert.same({ key = "mode", takes = '"one" or "two"', default = '"one"', doc = "b" }, options[2])
    assert.same({ key = "rate", takes = "number or function, above 0", default = "0.001", doc = "c" }, options[3])
  end)

  it("has its operations in docs/operations.md: make docs writes them", function()
    assert.equal(markdown.operations(collect.collect()), helpers.read "docs/operations.md")
  end)
end)

--- What a name in a table of names stands for: "x:sum", "nn.linear"; nil where there is no such thing.
local function found(name)
  local room, key = name:match "^(%l+)[.:]([%w_]+)$"
  local things = {
    x = tensor_methods, model = sm.nn.flatten(), opt = sm.optim.sgd { lr = 1 }, init = sm.nn.init,
    set = sm.data.tensors { inputs = sm.ones(1, 1), targets = sm.ones(1, 1) },
    sm = sm, nn = sm.nn, optim = sm.optim, data = sm.data, view = sm.view,
  }
  if room == "x" and (key == "shape" or key == "dtype" or key == "grad") or not things[room] then return true end
  local ok, value = pcall(function() return things[room][key] end) -- strict tables raise where a key is unknown
  return ok and value or nil
end

--- The names in `code` of a table's second column: what there is here.
local function names_of(document)
  local names, rows = {}, 0
  for line in helpers.read(document):gmatch "[^\n]+" do
    local ours = not line:find "^|%-" and line:match "^|[^|]+|([^|]+)|"
    if ours then rows = rows + 1 end
    for code in (ours or ""):gmatch "`([^`]+)`" do
      for name in (" " .. code):gmatch "[^%w_.:](%l+[.:][%a_][%w_]*)" do names[#names + 1] = name end
    end
  end
  return names, rows
end

describe("tables of names", function()
  for _, document in ipairs { "docs/guide/09-from-pytorch.md", "docs/guide/09-from-torch7.md" } do
    it("of " .. document .. " name what there is", function()
      local names, rows = names_of(document)
      assert.is_true(rows > 30 and #names > rows)
      for _, name in ipairs(names) do
        assert.is_truthy(found(name), ("%s names %s, which there is not"):format(document, name))
      end
    end)
  end

  it("have what messages say of names from elsewhere", function()
    local rows = {}
    for _, document in ipairs { "docs/guide/09-from-pytorch.md", "docs/guide/09-from-torch7.md" } do
      for line in helpers.read(document):gmatch "[^\n]+" do
        local theirs, ours = line:match "^|([^|]+)|([^|]+)|"
        if ours then rows[#rows + 1] = { " " .. theirs .. " ", ours } end
      end
    end
    for room, names in pairs(require "sm.elsewhere".names) do
      for name, here in pairs(names) do
        local told = false
        for _, row in ipairs(rows) do
          told = told or row[1]:find("%f[%w_]" .. name .. "%f[^%w_]") and row[2]:find("`" .. here .. "`", 1, true)
        end
        assert.is_truthy(told, ("no row says that %s of %s is %s"):format(name, room, here))
      end
    end
  end)

  it("would show a name that there is not", function()
    assert.is_nil(found "x:unheard")
    assert.is_nil(found "nn.unheard")
    assert.is_nil(found "sm.unheard")
  end)
end)
