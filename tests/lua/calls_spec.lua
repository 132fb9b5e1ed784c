--- What a worker may say: each call with its fields is read as it was written, and nothing else is.
local calls = require "sm.cli.calls"
local message = require "sm.cli.message"

local identity <const> = {
  source = "return 1", params = "{}", modules = { ["net/a.lua"] = "return 2" }, declaration = { lr = "0.1" },
  data = { inputs = "abc" }, loaded = {}, continued = "step 2", drew = false, from_file = true,
  script = { steps = 1, name = "x", on = true },
}
local about <const> = {
  name = "x", variant = "default", model = "linear", data = "60", optimizer = "adam", steps = 10, batch = 2,
  accumulate = 2, seed = -1, threads = 2, frozen = { "a", "b" },
}

--- Every call with all its fields.
local whole <const> = {
  screen = { quiet = true }, say = { given = "words", indent = 11 }, conclude = { given = { "a", { "1;32", "b" } } },
  note = { given = { { false, "c" } } },
  row = { row = { step = 1, loss = 0 / 1 }, steps = 2, metrics = { f1 = 1 / 0 } },
  step = { step = 1, steps = 2, figures = { loss = 0.5 }, seconds = 0.1 }, clear = {},
  plan = { about = about, path = "runs/x" },
  finished = { pictures = false, next = { predict = true, longer = 20 } }, finished_already = {},
  interrupted_run = { step = 1, steps = 2 }, home = {},
  place = { name = "x", variant = "lr=1", runs = "out", identity = identity, again = true, planning = true },
  open = { path = "runs/x" }, surroundings = {}, prune = { keep = 2, step = 10 },
  conclude_run = { summary = { seed = 1, stopped = "patience" } },
  report = { steps = 1, pause = 0.5, ended = { how = "interrupted", problem = "none" } },
  line = { prompt = "1> ", inserted = "conv1", shown = "conv1  conv2" }, picture = { png = "\137PNG" },
  publish = { place = "net/a.lua", text = "return 1" }, graceful = { on = true }, asked = {},
  planned = { result = { directory = "runs/x", state = "new", steps = 1, saved = 0 }, modules = { ["a.lua"] = "" } },
  predictions = { kind = "score", classes = 10, widest = 5, lines = { "a" } }, predicted_all = {},
  predicted = { rows = { { class = "a", value = 0.5 } }, done = "" },
  ended = { problem = { message = "x", lines = "y", usage = true } },
}

local function decode(name, fields)
  return calls.decode(calls.encode(name, fields))
end

--- A copy with one field changed; the value nil leaves it out.
local function changed(fields, field, value)
  local copy = {}
  for key, item in pairs(fields) do copy[key] = item end
  copy[field] = value
  return copy
end

local function nested(depth)
  local value = {}
  for _ = 2, depth do value = { value } end
  return value
end

--- Visits every table of a call: the fields that it may have, with their tests, and a function that puts a table in
--- its place.
local function each_field(visit)
  for name, known in pairs(calls.calls) do
    for field, test in pairs(known.fields) do visit(name, field, type(test) == "table") end
  end
end

describe("the calls of a worker", function()
  it("are all tried here", function()
    for name in pairs(calls.calls) do assert.is_table(whole[name], name) end
  end)

  for name, fields in pairs(whole) do
    it("are read as they were written: " .. name, function()
      assert.same(changed(fields, "call", name), assert(decode(name, fields)))
    end)
  end

  it("have all their fields, but for some", function()
    each_field(function(name, field, optional)
      if not (name == "planned" and field == "result" or name == "ended") then
        assert.equal(optional, decode(name, changed(whole[name], field, nil)) ~= nil, name .. "." .. field)
      end
    end)
  end)

  it("have no field of another kind, or too many", function()
    local others <const> = {
      text = "\0", number = -0.5, flag = true, table = { {} }, deep = nested(20), list = { 1, 2 },
    }
    each_field(function(name, field)
      local refused = 0
      for _, value in pairs(others) do
        if not decode(name, changed(whole[name], field, value)) then refused = refused + 1 end
      end
      assert(refused >= 4, name .. "." .. field)
    end)
    for name, fields in pairs(whole) do
      for _, field in ipairs { "other", "answered", "fields", "needs", 1, 2.5, true } do
        assert.is_nil((decode(name, changed(fields, field, 1))), name)
      end
    end
    for _, field in ipairs { "other", "call" } do
      assert.is_nil((decode("place", changed(whole.place, "identity", changed(identity, field, "place")))))
      assert.is_nil((decode("plan", changed(whole.plan, "about", changed(about, field, "plan")))))
    end
  end)

  for name, fields in pairs {
    prune = { "keep", "step" }, interrupted_run = { "step", "steps" }, row = { "steps" }, report = { "steps", "pause" },
    step = { "step", "steps", "seconds" }, say = { "indent" },
  } do
    it("count within bounds: " .. name, function()
      for _, field in ipairs(fields) do
        for _, value in ipairs { -1, math.mininteger, math.maxinteger, 2 ^ 53 + 2, 0 / 0, 1 / 0, -1 / 0, "1", 1e10 } do
          if not (value == 1e10 and field ~= "pause" and field ~= "seconds") then
            assert.is_nil((decode(name, changed(whole[name], field, value))), field .. " " .. tostring(value))
          end
        end
      end
    end)
  end

  it("ask for a line as smrun does, and add nothing that a terminal would obey", function()
    for _, prompt in ipairs { "7> ", "12>> " } do assert(decode("line", { prompt = prompt })) end
    for _, prompt in ipairs { "", "> ", "yes or no: ", "password: ", "1> \27[2J", "1> x", "1>\n", "$ 1> ", "-1> ",
      ("1"):rep(20) .. "> " } do
      assert.is_nil((decode("line", { prompt = prompt })), prompt)
    end
    for _, inserted in ipairs { "\27[31m", "\xc2\x9b31m", "a\n", "a\tb", "\u{202E}", "\xff", ("x"):rep(200) } do
      assert.is_nil((decode("line", { prompt = "1> ", inserted = inserted })), inserted)
    end
    assert(decode("line", { prompt = "1> ", inserted = "größe", shown = ("x"):rep(1 << 15) }))
    assert.is_nil((decode("line", { prompt = "1> ", shown = ("x"):rep((1 << 15) + 1) })))
  end)

  it("do not contradict themselves", function()
    for _, code in ipairs { 0, 130 } do assert(decode("ended", { code = code })) end
    for _, code in ipairs { 1, 2, 255, 256, 512, 386, -126, 0.5 } do
      assert.is_nil((decode("ended", { code = code })))
    end
    assert.is_nil((decode("ended", {})))
    assert.is_nil((decode("ended", changed(whole.ended, "code", 0))))
    assert.is_nil((decode("planned", changed(whole.planned, "result", nil))))
    assert.is_nil((decode("planned", changed(whole.planned, "problem", { message = "x" }))))
    assert.is_nil((decode("step", changed(whole.step, "step", 3))))
    assert.is_nil((decode("step", changed(whole.step, "step", 0))))
    assert.is_nil((decode("row", changed(whole.row, "row", { loss = 1 }))))
    assert.is_nil((decode("row", changed(whole.row, "row", { step = 0.5 }))))
  end)

  it("name directories and modules that lie nowhere else", function()
    for _, name in ipairs { "", ".", "..", "../x", "a/b", "/a", ".new-1-1", "a\0", "a\n", "\xFF", ("x"):rep(201) } do
      assert.is_nil((decode("place", changed(whole.place, "name", name))), name)
      assert.is_nil((decode("place", changed(whole.place, "variant", name))), name)
    end
    for _, place in ipairs { "", "/a.lua", "../a.lua", "a/../b.lua", "a/./b.lua", "a//b.lua", "a/", "a\0.lua", ".." } do
      assert.is_nil((decode("publish", changed(whole.publish, "place", place))), place)
      assert.is_nil((decode("planned", changed(whole.planned, "modules", { [place] = "" }))), place)
    end
    for _, place in ipairs { "a.lua", "net/a.lua", "..a/b", ".hidden/a.lua", "settings.txt" } do
      assert(decode("publish", changed(whole.publish, "place", place)), place)
    end
  end)

  it("paint with colours alone", function()
    for _, code in ipairs { "1", "1;32", "", false } do assert(decode("say", { given = { { code, "x" } } })) end
    for _, piece in ipairs { { "2J", "x" }, { "1m\27[2J", "x" }, { ("1"):rep(16), "x" }, { 1, "x" }, { true, "x" },
      { "1" }, { "1", 2 }, 1, false } do
      assert.is_nil((decode("say", { given = { piece } })))
    end
    assert.is_nil((decode("say", { given = { a = "x" } })))
  end)

  it("are no longer than they need to be", function()
    assert(decode("say", { given = ("x"):rep(1 << 17) }))
    assert.is_nil((decode("say", { given = ("x"):rep(1 << 22) })))
    local many = { step = 1 }
    for number = 1, 250000 do many["column " .. number] = number end
    assert.is_nil((decode("row", { row = many, steps = 1 })))
    assert(decode("publish", { place = "a", text = ("x"):rep(1 << 20) }))
    assert.is_nil((decode("publish", { place = "a", text = ("x"):rep(16 << 20) })))
  end)

  it("are none where the bytes are none", function()
    for _, value in ipairs { "text", 1, 0.5, true, {}, { call = {} }, { call = 1 }, { call = 0.5 }, { call = "calls" },
      { { call = "clear" } } } do
      local call, reason = calls.decode(message.encode(value))
      assert.is_nil(call)
      assert.is_string(reason)
    end
    local bytes = calls.encode("place", whole.place)
    for length = 0, #bytes - 1 do assert.is_nil((calls.decode(bytes:sub(1, length)))) end
    assert.is_nil((calls.decode(bytes .. "z")))
    for _, part in ipairs { "", "z", "T", "T\255\255\255\255", "s\255\255\255\127", "i", "d\0", "\0",
      "T\1\0\0\0zz", "T\1\0\0\0T\0\0\0\0t", "T\1\0\0\0tz", "T\2\0\0\0tttt", ("T\1\0\0\0t"):rep(40) .. "t" } do
      assert.is_nil((calls.decode(part)))
    end
  end)
end)
