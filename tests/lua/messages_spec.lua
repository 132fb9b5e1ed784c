--- What smrun says of words that were typed wrong, of files with errors, and of values that are printed.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local quote, smrun = helpers.quote, helpers.shown_smrun()

local workspace

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

local function shell(command)
  return helpers.shell(workspace, command)
end

local function code(text)
  return shell('"$SMRUN" -e ' .. quote(text))
end

--- Raises unless the words are refused with this message and nothing else.
local function refuses(words, message)
  local status, out, err = shell('"$SMRUN" ' .. words)
  assert.same({ 2, "", ("smrun: %s\nsee %s --help\n"):format(message, smrun) }, { status, out, err }, words)
end

local experiment <const> = [[
local sm = require "sm"
local p = sm.params { steps = 5 }
return sm.experiment {
  data = sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.tensor({ 0, 1, 1, 0 }, "int32") },
  model = sm.nn.sequential { sm.nn.linear { 2 } },
  optimizer = sm.optim.sgd { lr = 0.1 },
  schedule = { steps = p.steps, batch = 4 },
}
]]

describe("smrun's messages", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    write("base.lua", experiment)
  end)

  teardown(function() os.execute("rm -rf " .. quote(workspace)) end)

  it("say how a parameter is written, in whatever form it came", function()
    for _, form in ipairs { "%s --steps 10", "%s --steps=10", "--steps 10 %s", "%s -steps 10" } do
      local words = form:format "base.lua"
      refuses(words, ("unknown option '%s'; parameters are given as steps=10"):format(words:match "%-+steps"))
    end
    refuses("base.lua --learning-rate -0.5",
      "unknown option '--learning-rate'; parameters are given as learning_rate=-0.5")
    for _, words in ipairs { "steps 10", "steps = 10", "steps =10", "steps:10" } do
      refuses("base.lua " .. words, ("unexpected argument '%s'; parameters are given as key=value; write steps=10")
        :format(words:match "^%S+"))
    end
    refuses("base.lua steps= 10", "unexpected argument '10'; parameters are given as key=value; write steps=10")
    refuses("base.lua --dry-rn", "unknown option '--dry-rn'; did you mean '--dry-run'?")
    refuses("base.lua -jobs 2", "unknown option '-jobs'; did you mean '--jobs'?")
    refuses("export runs/base/default -o net.onnx", "unknown option '-o'; did you mean '--out'?")
  end)

  it("name the file that is meant", function()
    refuses("base", "no such file 'base'; did you mean 'base.lua'?")
    refuses("bas", "unknown command 'bas'; did you mean 'base.lua'?")
    refuses("base.lau", "no such file 'base.lau'; did you mean 'base.lua'?")
    refuses("run base.lua", ("unknown command 'run'; a file needs none: %s base.lua"):format(smrun))
  end)

  it("name the program as it was called", function()
    assert.equal(0, (shell 'ln -sf "$SMRUN" "my smrun"'))
    local status, _, err = shell '"./my smrun" --stepz'
    assert.same({ 2, "smrun: unknown option '--stepz'\nsee './my smrun' --help\n" }, { status, err })
    local _, out = shell '"./my smrun" --help'
    assert.truthy(out:find("\n  './my smrun' resume RUN", 1, true), out)
    _, out = shell 'PATH="$(dirname "$SMRUN"):$PATH" smrun resume --help'
    assert.truthy(out:find("Usage: smrun resume RUN", 1, true), out)
  end)

  it("are a command's own with --help, and fit 80 columns", function()
    local general = select(2, shell '"$SMRUN" --help')
    for _, command in ipairs { "resume", "eval", "compare", "report", "data" } do
      local status, own, err = shell(("\"$SMRUN\" %s --help"):format(command))
      assert.same({ 0, "" }, { status, err })
      assert.truthy(own:find(("Usage: %s %s "):format(smrun, command), 1, true), own)
      assert.truthy(own:find "\nExample:\n", own)
      assert.equal(own, select(2, shell(("\"$SMRUN\" --help %s"):format(command))))
      assert.equal(own, select(2, shell(("\"$SMRUN\" help %s"):format(command))))
      assert.are_not.equal(general, own)
    end
    assert.truthy(select(2, shell '"$SMRUN" compare --help'):find("--csv FILE", 1, true))
    assert.is_nil(select(2, shell '"$SMRUN" resume --help'):find("--csv", 1, true))
    assert.equal(general, select(2, shell '"$SMRUN" help'))
    assert.equal(general, select(2, shell '"$SMRUN" base.lua --help'))
    local short = select(2, shell 'PATH="$(dirname "$SMRUN"):$PATH" smrun --help')
    for line in short:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
    refuses("help compre", "unknown command 'compre'; did you mean 'compare'?")
  end)

  it("point at the line before where a comma is missing", function()
    for number, case in ipairs {
      { "local t = {\n  a = 1,\n  b = 2 -- two\n\n  -- of three\n  c = 3,\n}", 6, "at the end of line 3" },
      { "local t = { 32 kernel = 5 }", 1, "before 'kernel'" },
      { "local t = f(1,\n  2\n  3)", 3, "at the end of line 2" },
      { "local t = {\n  { 0, 1 }\n  { 1, 1 },\n}", 3, "at the end of line 2" },
      { "local t = { 'a'\n  [3] = 4 }", 2, "at the end of line 1" },
      { "local t = { f = function() end\n  g = 2 }", 2, "at the end of line 1" },
    } do
      local name = ("comma%d.lua"):format(number)
      write(name, case[1] .. "\n")
      local status, out, err = shell('"$SMRUN" ' .. name)
      assert.same({ 1, "" }, { status, out })
      assert.truthy(err:find(("smrun: %s:%d: "):format(name, case[2]), 1, true), err)
      assert.truthy(err:find(("; a comma may be missing %s\n"):format(case[3]), 1, true), err)
    end
    for number, case in ipairs {
      { "local x = 1\nx += 1", 2, "there is no += and no ++" },
      { "local x = 1\nif x != 1 then end", 2, "not equal is ~=" },
      { "if a && b then end", 1, "&& is and" }, { "if true { }", 1, "a block has no braces" },
      { "local x = 2 ** 3", 1, "a power is x ^ 2" }, { "local x = a ? 1 : 2", 1, "there is no a ? b : c" },
      { "import torch", 1, "a module is taken by `local sm = require \"sm\"`" },
      { "from torch import nn", 1, "a module is taken by `local sm" },
    } do
      local name = ("sign%d.lua"):format(number)
      write(name, case[1] .. "\n")
      local _, _, err = shell('"$SMRUN" ' .. name)
      assert.truthy(err:find(("smrun: %s:%d: "):format(name, case[2]), 1, true), err)
      assert.truthy(err:find("; in Lua " .. case[3], 1, true), err)
    end
    for typed, words in pairs {
      ["1 != 2"] = "near '!'; in Lua not equal is ~=", ["1 2"] = "near '2'",
      ["return None"] = "undefined variable 'None'; here it is nil",
      ["sm.ones(2).sum()"] = "argument 1 must be a tensor, got nil; a method is called with a colon",
    } do
      local _, _, err = shell(('"$SMRUN" -e "%s"'):format(typed))
      assert.truthy(err:find(words, 1, true), err)
    end
    write("loop.lua", "local list = { 1 }\nfor i, x in list do print(i, x) end\n")
    local loop = select(3, shell '"$SMRUN" loop.lua')
    assert.truthy(loop:find("; a list is gone through by `for i, value in ipairs(list)`", 1, true), loop)
    write("nothing.lua", "local x = 1\n")
    write("boolean.lua", 'local f = require "nothing"\nf(1)\n')
    local boolean = select(3, shell '"$SMRUN" boolean.lua')
    assert.truthy(boolean:find("; a module that does not `return` anything is true\n", 1, true), boolean)
    for _, made in ipairs { "math.exp(sm.ones(2))", "sm.pointwise(function(x) return math.exp(x) end)" } do
      local _, _, err = shell(("\"$SMRUN\" -e '%s'"):format(made))
      assert.truthy(err:find("; of a tensor it is a method, x:exp()\n", 1, true), err)
    end
    local _, _, said = shell [["$SMRUN" -e "('%d'):format(sm.ones(1))"]]
    assert.truthy(said:find("got sm.tensor); the number in a tensor of one element is x:item()\n", 1, true), said)
    write("outer.lua", 'require "comma1"\n')
    assert.truthy(select(3, shell '"$SMRUN" outer.lua'):find("may be missing at the end of line 3\n", 1, true))
    for number, text in ipairs { "local t = {\n  a = 1,\nlocal y = 2", "local t = f(3\nlocal y = 3", "local t = {" } do
      local name = ("other%d.lua"):format(number)
      write(name, text .. "\n")
      local status, _, err = shell('"$SMRUN" ' .. name)
      assert.equal(1, status)
      assert.is_nil(err:find("comma", 1, true), err)
    end
  end)

  it("warn of probabilities where scores are wanted, once", function()
    local text <const> = [[
local sm = require "sm"
local nn = sm.nn
return sm.experiment {
  data = sm.data.tensors { inputs = sm.randn(40, 3), targets = sm.randint(0, 2, { 40 }) },
  model = nn.sequential { nn.linear { 2 }%s }, optimizer = sm.optim.adam { lr = 0.1 },
  schedule = { steps = 5, batch = 8 },
}
]]
    for number, case in ipairs { { "", 0 }, { ", nn.sigmoid()", 0 }, { ", nn.softmax()", 1 } } do
      write(("scores%d.lua"):format(number), text:format(case[1]))
      local status, out = shell(('"$SMRUN" scores%d.lua'):format(number))
      assert.equal(0, status)
      assert.equal(case[2], select(2, out:gsub("warning: what the model gives are probabilities already", "")), out)
    end
  end)

  it("show errors of any kind, of any length, and nothing that a terminal would obey", function()
    for raised, message in pairs {
      ["{ 1, 2, nil, { 3 } }"] = "an error that is a table: {1 = 1, 2 = 2, 4 = table}",
      ["print"] = "an error that is a function",
      ["io.stdout"] = "an error that is a userdata",
      ["coroutine.create(print)"] = "an error that is a thread",
      ['{ ["a\\n"] = "\\27[1m" }'] = [[an error that is a table: {a\n = "\27[1m"}]],
      ['"a\\27[31mb\\r\\7\\n\\tc"'] = [[(command line):1: a\27[31mb\r\a]] .. "\n\tc",
      ['"\\u{202E}abc\\u{2066}"'] = [[(command line):1: \u{202E}abc\u{2066}]],
      ['"\\255 \\u{9B}1m"'] = [[(command line):1: \255 \u{9B}1m]],
      ["setmetatable({}, { __tostring = function() error 'no' end })"] = "an error that is a table: {}",
    } do
      local status, out, err = code(("error(%s)"):format(raised))
      assert.same({ 1, "" }, { status, out })
      assert.equal(("smrun: %s\nstack traceback:\n\t(command line):1: in main chunk\n"):format(message), err)
    end
    local _, _, err = code 'error(("漢"):rep(100000))'
    assert.is_true(#err < 5000)
    assert.truthy(utf8.len(err) and err:find("… (300018 bytes in all)\n", 1, true), err:sub(-200))
  end)

  it("name the line that is at fault in a tail call too", function()
    for _, call in ipairs {
      "sm.ones(2, 3):reshape(7)", "sm.nn.conv2d { 3 }", "sm.optim.adam { lrr = 3 }", "sm.nn.linear { 2 }(3)",
      "sm.nn.linear { 2 }:build(3)", "sm.nn.linear { 2 }:layer 'x'", "sm.data.mnist { x = 1 }", "sm.zeros('a')",
      "sm.nn.init.constant()", "sm.load(3)", "sm.nn.linear { 2 }(sm.ones(2, 3), 4)", "sm.view.filters(3)",
    } do
      local status, _, err = code(("local sm = require 'sm'\nlocal function f()\n  return %s\nend\nf()"):format(call))
      assert.equal(1, status)
      assert.truthy(err:find "^smrun: %(command line%):3: [^\n]+\nstack traceback:\n\t%(command line%):3: in ", err)
    end
  end)

  it("show words of the command line as they are, but for what a terminal would obey", function()
    local status, _, err = shell [["$SMRUN" base.lua "$(printf 'steps=\033[31m\nx')"]]
    assert.equal(2, status)
    assert.is_nil(err:find("\27", 1, true))
    assert.truthy(err:find([[got '\27[31m\nx']], 1, true), err)
  end)

  it("print what the library is made of, without addresses", function()
    local status, out, err = code [[
      local sm = require "sm"
      local names = {}
      for name, value in pairs(sm) do assert(value == sm[name]) names[#names + 1] = name end
      print(table.concat(names, " "))
      print(sm)
      print(sm.nn) print(sm.optim) print(sm.data) print(sm.view) print(sm.nn.init)
      local model = sm.nn.sequential { sm.nn.linear { 2 } }
      print(model:build { 3 }:parameters())
      print(sm.params { a = 1, b = "x" })
      print(sm.optim.sgd { lr = 0.1 })
      print(sm.data.tensors { inputs = sm.ones(4, 2), targets = sm.tensor({ 0, 1, 1, 0 }, "int32") })
      print(sm.experiment { name = "n", data = sm.data.mnist_mini {}, model = model,
        optimizer = sm.optim.sgd { lr = 1 }, schedule = { steps = 1, batch = 1 } })
      print(sm.view.filters "conv1")
    ]]
    assert.same({ 0, "" }, { status, err })
    assert.is_nil(out:find "0x%x", out)
    for _, name in ipairs { "nn", "optim", "data", "view", "save", "params", "experiment", "tensor" } do
      assert.truthy((" " .. out:match "^[^\n]*" .. " "):find(" " .. name .. " ", 1, true), name)
    end
    assert.truthy(out:find("\nlinear1.weight: tensor {3, 2}\nlinear1.bias: tensor {2}\na=1 b=x\noptim.sgd { lr = 0.1, ",
      1, true), out)
  end)
end)
