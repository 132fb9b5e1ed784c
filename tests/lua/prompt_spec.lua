--- The prompt, as a person sees it: whole sessions through a terminal, and what a pipe gives. And its parts: what Tab
--- may add, and how values are printed.
local lfs = require "lfs"
local sm = require "sm"
local completion = require "sm.terminal.completion"
local helpers = require "tests.lua.helpers"
local values = require "sm.terminal.values"
local quote, read, write, has = helpers.quote, helpers.read, helpers.write, helpers.has

local SECONDS <const> = 60 -- until a session counts as one that hangs
local CTRL_C <const>, CTRL_D <const>, TAB <const>, UP <const> = "\3", "\4", "\t", "\27[A"
local driver <const> = lfs.currentdir() .. "/tests/terminal.py"
local workspace

local python <const> = os.execute "python3 -c 'import os; os.forkpty, os.waitstatus_to_exitcode' 2>/dev/null"

--- What a terminal shows of what it got, without the codes that move its cursor.
local function plain(shown)
  return (shown:gsub("\27%[[%d;?]*[%a]", ""):gsub("\27[=>]", ""):gsub("\27%(B", ""):gsub("\r", ""))
end

--- Types a session. @param steps array {waited for, typed, waited for, typed, …}
--- @return integer exit code
--- @return string what was shown
--- @return string the same as it came
local function type_session(words, steps)
  local arguments, home = {}, quote(workspace)
  for i, word in ipairs(steps) do arguments[i] = quote(word) end
  local _, _, code = os.execute(("cd %s && env -u NO_COLOR HOME=%s XDG_STATE_HOME=%s/state TERM=xterm python3 %s %d "
    .. "log %s -- %s %s 2>err"):format(home, home, home, quote(driver), SECONDS, table.concat(arguments, " "),
    quote(helpers.smrun), words))
  local shown = read(workspace .. "/log")
  assert(code ~= 99, read(workspace .. "/err"))
  return code, plain(shown), shown
end

local function piped(words, lines, before)
  write(workspace .. "/lines", lines)
  return helpers.shell(workspace, ("exec <lines; %s HOME=. \"$SMRUN\" %s"):format(before or "", words))
end

local EXPERIMENT <const> = [[
local sm = require "sm"
local p = sm.params { steps = 3 }
local greeting = "good morning"
local model = sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.tanh(), sm.nn.linear { 2 } }
return sm.experiment {
  data = sm.data.tensors { name = "corners", classes = 2, inputs = sm.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
    targets = sm.tensor({ 0, 1, 1, 0 }, "int32") },
  model = model, optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = p.steps, batch = 4 },
}
]]

describe("the prompt", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    write(workspace .. "/corners.lua", EXPERIMENT)
  end)

  teardown(function() os.execute("rm -rf " .. quote(workspace)) end)

  local function on_terminal(title, body)
    it(title, function()
      if not python then return pending "python3, which makes terminals, is not on this machine" end
      body()
    end)
  end

  on_terminal("takes a whole session", function()
    local code, shown = type_session("", {
      "1> ", "20 + 22\n",
      "42", "", "2> ", "local size = 3\n",
      "note: a local ends", "", "3> ", "function twice(x)\n",
      "4>> ", "  return 2 * x\n",
      "5>> ", "end\n",
      "6> ", "twice(size), _\n",
      "6   42", "", "7> ", "sm.zeros(2, 3)\n",
      "float32 {2, 3}", "", "8> ", "model = nn.sequential { nn.linear { 4 }, nn.relu() }\n",
      "9> ", "model(sm.ones(1, 2)).sha" .. TAB, -- a field of a tensor that is not there yet: nothing is added
      "sha", CTRL_C,
      "9> ", "y = model(sm.ones(1, 2))\n",
      "10> ", "y.sha" .. TAB, "pe", "\n",
      "{1, 4}", "", "11> ", "model:layer(\"lin" .. TAB, "ear1\"", ").kind\n",
      "\"linear\"", "", "12> ", "?sm.zeros\n",
      "a dtype follows a table of sizes", "", "13> ", "nn.linear { 4, biass = true }\n",
      "prompt:13: nn.linear: unknown option 'biass'; did you mean 'bias'?", "", "14> ", "while true do end\n",
      "\n", CTRL_C,
      "interrupted", "", "15> ", "pcall(error)\n",
      "false   nil", "", "16> ", "for",
      "for", CTRL_C, "16> ", "{ deep = { 1, 2 }, print = print }\n",
      "{ deep = { 1, 2 }, print = function print }", "", "17> ", CTRL_D,
    })
    assert.equal(0, code, shown)
    has(shown, "?name explains a name")
    local path = workspace .. "/state/smrun/history"
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    has(read(path), "20 + 22\nlocal size = 3\nfunction twice(x)\\n  return 2 * x\\nend\n")
    code, shown = type_session("repl", { "1> ", UP, "print }", "\n", "deep = { 1, 2 }", "", "2> ", CTRL_D })
    assert.equal(0, code, shown)
  end)

  on_terminal("is confined behind a file, whose local variables it has", function()
    local code, shown = type_session("-i corners.lua steps=1000000", {
      "step ", CTRL_C, -- the training saves, and the session goes on
      "interrupted after step", "", "1> ", "greeting\n",
      "\"good morning\"", "", "2> ", "model:layer(\"ta" .. TAB, "nh1\"", ").kind\n",
      "\"tanh\"", "", "3> ", "os.execute \"ls\"\n",
      "prompt:3: os.execute is not available", "", "4> ", "while true do end\n",
      "\n", CTRL_C,
      "interrupted", "", "5> ", "run.params.steps, p.steps\n",
      "1000000   1000000", "", "6> ", "view.image(sm.rand(8, 8))\n",
      ".png", "", "7> ", "model:par" .. TAB, "ameters", "()\n",
      "[\"linear1.weight\"] = tensor {2, 4}", "", "8> ", CTRL_D,
    })
    assert.equal(0, code, shown)
    has(shown, "confined   reads")
    local picture = shown:match "(/[^\n]*/smrun%-%w+%.png)"
    assert.same({ 3 }, { #sm.png.load(picture).shape })
    os.remove(picture)
  end)

  on_terminal("shows pictures where the terminal says that it can", function()
    write(workspace .. "/nothing.lua", "")
    for answer, expected in pairs {
      ["\27_Gi=31;OK\27\\\27[?62;c"] = "\27_Ga=T,f=100,", ["\27[?62;4;22c"] = "\27P0;1q\"1;1;",
    } do
      for _, words in ipairs { "repl", "-i nothing.lua" } do
        local code, shown, raw = type_session(words, {
          "1> ", "view.image(sm.rand(4, 4, 3))\n", "\27[c", answer, expected, "", "\27\\", "", "2> ", CTRL_D,
        })
        assert.equal(0, code, shown)
        has(raw, expected)
        assert.is_nil(shown:find "smrun%-%w+%.png")
      end
    end
  end)

  on_terminal("asks before the text of a run is run in it, and loads one confined", function()
    assert.equal(0, (helpers.shell(workspace, '"$SMRUN" --quiet corners.lua')))
    local code, shown = type_session("repl", {
      "1> ", "sm.load_run(\"runs/corners/default\").step\n", "yes or no: ", "no\n",
      "here it is not confined", "", "2> ", "sm.load_run(\"runs/corners/default\").step\n", "yes or no: ", "yes\n",
      "\n3\r\n", "", "3> ", CTRL_D,
    })
    assert.equal(0, code, shown)
    code, shown = type_session("-i runs/corners/default", { "1> ", "run.step, model.kind\n", "3   \"sequential\"", "",
      "2> ", CTRL_D })
    assert.equal(0, code, shown)
  end)

  on_terminal("ends at the third Ctrl-C, whatever a stranger's line catches", function()
    write(workspace .. "/stubborn.lua", [[
local function forever()
  for second = 0, 60 do
    local until_then = os.time() + 1
    pcall(function()
      print("tick " .. second)
      while os.time() < until_then do end
    end)
    while os.time() < until_then do pcall(function() while os.time() < until_then do end end) end
  end
end
]])
    local code, shown = type_session("-i stubborn.lua", {
      "1> ", "forever()\n", "tick 1", CTRL_C, "tick 2", CTRL_C, "tick 4", CTRL_C, "did not stop", "",
    })
    assert.equal(1, code, shown)
  end)

  on_terminal("is stopped by Ctrl-C while it looks for what Tab may add, and runs no text for it", function()
    write(workspace .. "/names.lua", [[
local large = {}
for i = 1, 500000 do large["n" .. i] = i end
local odd = { [("a"):rep(300) .. 1] = 1, [("a"):rep(300) .. 2] = 2 }
]])
    local code, shown = type_session("-i names.lua", {
      "1> ", "large.n" .. TAB, "large.n", CTRL_C, "^C", "", "1> ", "6 * 7\n", "42", "", "2> ", "odd.a" .. TAB,
      "aaaaaa", CTRL_C, "^C", "", "2> ", "6 * 9\n", "54", "", "3> ", CTRL_D,
    })
    assert.equal(0, code, shown)
    write(workspace .. "/counted.lua", EXPERIMENT:gsub("^", 'print "runs"\n'))
    code, shown = type_session("-i counted.lua", {
      "runs", "", "1> ", "run.st" .. TAB, "run.st", CTRL_C, "^C", "", "1> ", "run.step\n",
      "runs", "", "\n3\r\n", "", "2> ", "run.st" .. TAB, "ep", "\n", "3\r\n", "", "3> ", CTRL_D,
    })
    assert.equal(0, code, shown)
    assert.equal(2, select(2, shown:gsub("runs\n", "")), shown)
  end)

  it("shows one picture for each line of a stranger's, of a size that it has room for", function()
    write(workspace .. "/pictures.lua", [[
local typing = require "sm.cli.typing".new()
local function picture(width, height)
  return "\137PNG\r\n\26\n\0\0\0\13IHDR" .. (">I4I4"):pack(width, height) .. "\8\2\0\0\0"
end
for _, size in ipairs { { 1 << 14, 1 << 14 }, { 1, 0xFFFFFFFF }, { 0xFFFFFFFF, 0xFFFFFFFF }, { 1 << 23, 2 } } do
  print(pcall(typing.picture, picture(size[1], size[2])))
end
print(pcall(typing.picture, "\137PNG"))
print(pcall(typing.picture, picture(3, 3))) -- which ends too early
print(pcall(typing.picture, picture(3, 3)))
]])
    local _, out = helpers.shell(workspace, [[mkdir pictures && TMPDIR=$PWD/pictures "$SMRUN" --trust pictures.lua]])
    local lines = {}
    for line in out:gmatch "false\t([^\n]*)" do lines[#lines + 1] = line end
    for i = 1, 4 do has(lines[i], "at most 8388608") end
    has(lines[5], "is no PNG")
    has(lines[6], "pictures/smrun-")
    has(lines[7], "one picture for each line")
    assert.equal(7, #lines)
    for name in lfs.dir(workspace .. "/pictures") do assert.is_nil(name:match "png$") end -- none is left
  end)

  it("reads plain lines where there is no terminal, and then fails if one of them did", function()
    local status, out, err = piped("repl", "1 + 1\nfor i = 1, 2 do\n  print(i)\nend\n'a\27[31m'\nlocal x = 5\nx\n")
    assert.equal("2\n1\n2\n\"a\\27[31m\"\n5\n", out)
    assert.equal("note: a local ends with the line that it is typed in, so what is declared here is global\n", err)
    assert.equal(0, status)
    status, out, err = piped("repl", "1 + {}\nx = 3\nx, sm.nn.liner\nx\nif x then\n")
    assert.equal("3\n", out)
    assert.equal("prompt:1: attempt to perform arithmetic on a table value\n"
      .. "prompt:3: sm.nn has no 'liner'; did you mean 'linear'?\nwhat begins in line 5 does not end\n", err)
    assert.equal(1, status)
    status, out, err = piped("repl", "exit\nquit()\nhelp 'x'\nexit = 3\nexit\n")
    assert.equal("3\n", out)
    assert.equal(1, status)
    for _, words in ipairs { "'exit'; Ctrl-D ends", "'quit'; Ctrl-D ends", "'help'; ?name explains a name" } do
      has(err, "undefined variable " .. words)
    end
    status, out, err = piped("repl", 'sm.load_run "runs/corners/default"\n')
    has(err, "`smrun --trust repl` runs it all the same")
    assert.equal("", out)
    assert.equal(1, status)
  end)

  it("has what a file leaves, confined and not, also where the file fails", function()
    write(workspace .. "/fails.lua", "local reached = 1\nlocal x = nil + reached\n")
    for _, trust in ipairs { "", "--trust " } do
      local _, out = piped(trust .. "-i corners.lua steps=2", "experiment\ngreeting\nresult.summary.steps\nrun.step\n")
      has(out, "experiment, declared at corners.lua:5\n\"good morning\"\n2\n2\n")
      local _, shown, err = piped(trust .. "-i fails.lua", "6 * 7\n")
      has(err, "fails.lua:2: attempt to perform arithmetic on a nil value")
      has(shown, "42\n")
    end
  end)

  it("takes its words from the command line", function()
    for words, expected in pairs {
      ["-i"] = "option '-i' needs a file or the directory of a run",
      ["repl x"] = "unexpected argument 'x' after 'repl'",
      ["-i corners.lua steps=1,2"] = "more than one value is a sweep",
      ["repl --quiet"] = "'--quiet' does not go with 'repl'",
    } do
      local status, _, err = piped(words, "")
      has(err, expected)
      assert.equal(2, status, words)
    end
    local status, out, err = piped("", "1\n")
    has(err, "Usage:")
    assert.equal("", out)
    assert.equal(2, status)
  end)
end)

describe("what Tab may add", function()
  local model = sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.relu(), sm.nn.linear { 2 } }
  model(sm.ones(1, 3))
  local globals <const> = { sm = sm, nn = sm.nn, model = model, x = sm.ones(2), text = "abc",
    t = { first = 1, last = { inner = 2 }, ["no name"] = 3 }, loud = setmetatable({}, {
      __index = function() error "nobody asked" end,
    }) }
  local scope <const> = {
    get = function(name) return globals[name] end,
    names = function()
      local names = {}
      for name in pairs(globals) do names[#names + 1] = name end
      return names
    end,
    documented = function() return { "nn.conv2d", "nn.linear", "x:sum" } end,
  }

  for line, expected in pairs {
    ["mod"] = "model", ["y = sm.ze"] = "zeros", ["f(nn.lin"] = "linear", ["t."] = "first last", ["t.last."] = "inner",
    ["x.dty"] = "dtype", ["x:log_s"] = "log_softmax", ["text:low"] = "lower", ["model:fre"] = "freeze",
    ["wh"] = "while", ["model:layer(\"lin"] = "linear1 linear2", ["model:layer \"r"] = "relu1",
    ["?nn."] = "nn.conv2d nn.linear",
    ["loud."] = "", ["missing."] = "", ["-- sm.ze"] = "", ["x:dty"] = "", ["1 .. text:up"] = "upper",
  } do
    it("is known: " .. line, function()
      assert.equal(expected, table.concat((completion.candidates(line, scope)), " "))
    end)
  end

  it("is files within quotation marks, without those that would write on the terminal", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
    assert(lfs.mkdir(directory .. "/deep"))
    for _, name in ipairs { "digits.lua", "dig\27[31m", ".hidden" } do write(directory .. "/" .. name, "") end
    local found = completion.candidates(("sm.load('%s/"):format(directory), scope)
    assert.same({ directory .. "/deep/", directory .. "/digits.lua" }, found)
    local inserted, shown = completion.complete(("f '%s/di"):format(directory), scope, 80)
    assert.same({ "gits.lua'" }, { inserted, shown })
    inserted, shown = completion.complete(("f '%s/de"):format(directory), scope, 80)
    assert.same({ "ep/" }, { inserted, shown })
    os.execute("rm -rf " .. quote(directory))
  end)

  it("is what all names have in common, then their list", function()
    assert.same({ "inear", nil }, { completion.complete("model:layer('l", scope, 80) })
    assert.same({ nil, "linear1  linear2" }, { completion.complete("model:layer('linear", scope, 80) })
  end)
end)

describe("a value at the prompt", function()
  local cyclic = { name = "c" }
  cyclic.own = cyclic
  for i, case in ipairs {
    { 5, "5" }, { 5.0, "5.0" }, { 0.1, "0.1" }, { 1e100, "1e+100" }, { 0 / 0, "nan" }, { -1 / 0, "-inf" },
    { "a\n\27\"", [["a\n\27\""]] }, { true, "true" }, { nil, "nil" }, { sm.nn.conv2d, "function nn.conv2d" },
    { sm.cat, "function sm.cat" }, { {}, "{}" }, { { 1, 2, nil, 4 }, "{ 1, 2, [4] = 4 }" },
    { { b = 1, a = 2, ["end"] = 3, [10] = 4, ["a b"] = 5 },
      "{ [10] = 4, a = 2, [\"a b\"] = 5, b = 1, [\"end\"] = 3 }" },
    { { sm.ones(2, 3), sm.nn.relu() }, "{ tensor {2, 3}, relu }" },
    { cyclic, "{\n  name = \"c\",\n  own = { … },  -- itself\n}" },
    { { { { { { 1 } } } } }, "{\n  {\n    {\n      {\n        { … },  -- 1 items\n      },\n    },\n  },\n}" },
  } do
    it("is printed: " .. i, function() assert.equal(case[2], values.show(case[1], 80)) end)
  end

  it("is a tensor with its numbers, dtype and shape, a model with its layers", function()
    assert.equal("{{0, 0},\n {0, 0}}  int32 {2, 2}", values.show(sm.zeros({ 2, 2 }, "int32"), 80))
    has(values.show(sm.nn.sequential { sm.nn.linear { 3 } }, 80), "linear1   linear 3 features")
  end)

  it("is bounded", function()
    local long = {}
    for i = 1, 1000 do long[i] = { i, { i } } end
    local words = values.show(long, 80)
    has(words, "… ")
    has(words, "950 more")
    assert.is_true(#words < 10000)
    assert.is_true(#values.show(("x"):rep(1 << 20), 80) < 2100)
  end)
end)
