--- What the shipped experiments and a sweep print fits the terminal, and nothing in it obeys a name or a value.
local lfs = require "lfs"
local text = require "sm.text"
local helpers = dofile "tests/lua/helpers.lua"
local quote, smrun = helpers.quote, helpers.smrun

local here = lfs.currentdir()

local workspace

local function read(name)
  return helpers.read(workspace .. "/" .. name)
end

local function write(name, words)
  local file <close> = assert(io.open(workspace .. "/" .. name, "wb"))
  file:write(words)
end

--- What a shell command prints in the workspace, with $SMRUN set: on a terminal of so many columns, or to no terminal.
local function printed(command, columns)
  write("command", command .. "\n")
  local form = columns and ("script -qec 'stty cols %d rows 40; sh ./command' /dev/null"):format(columns)
    or "sh ./command 2>&1"
  os.execute(("cd %s && SMRUN=%s TERM=xterm NO_COLOR=1 LC_ALL=C.UTF-8 %s >out </dev/null"):format(quote(workspace),
    quote(smrun), form))
  return (read "out":gsub("\r\n", "\n"))
end

--- Raises where a line of what was printed, as it was last written, is wider than the terminal. Paths, and rows of
--- what is to be copied, may be.
local function fits(words, columns)
  local seen = 0
  for line in words:gmatch "[^\n]+" do
    seen = seen + 1
    for part in line:gsub("\27%[[%d]*[KJA]", ""):gmatch "[^\r]+" do
      assert.is_true(text.width(part) <= columns or part:find("/", 1, true) ~= nil, part)
    end
  end
  assert.is_true(seen > 0)
end

local named <const> = [[
local sm = require "sm"
local p = sm.params { steps = 20, word = "x", seed = 1 }
if p.word == "b" then error "a broken\27[31m file that says more about it than fits into one line of any terminal" end
return sm.experiment {
  data = sm.data.tensors { name = "漢字\27[31mset\n", inputs = sm.ones(20, 2), targets = sm.ones(20):to "int32",
    validation = 10, classes = 2 },
  model = sm.nn.sequential { sm.nn.linear { 20 }, sm.nn.relu {}, sm.nn.linear { 2 } },
  optimizer = sm.optim.sgd { lr = 0.1 }, schedule = { steps = p.steps, batch = 4, evaluate = 10 },
}
]]

describe("what smrun prints", function()
  before_each(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    write("named.lua", named)
  end)

  after_each(function() os.execute("rm -rf " .. quote(workspace)) end)

  it("of the shipped experiments fits 80 columns, and 60", function()
    local count = 0
    for name in lfs.dir(here .. "/experiments") do
      if name:find "%.lua$" then
        count = count + 1
        local file = ("%s/experiments/%s"):format(here, name)
        local source <close> = assert(io.open(file))
        local data = source:read "a":find "data = \"" and " data=mnist_mini" or ""
        local command = ('"$SMRUN" %s --dry-run%s'):format(quote(file), data)
        local plain = printed(command)
        assert.is_nil(plain:find "smrun:", plain)
        fits(plain, 80)
        local narrow = printed(command, 60)
        assert.is_nil(narrow:find "smrun:", narrow)
        fits(narrow, 60)
      end
    end
    assert.is_true(count >= 10)
  end)

  it("of a run fits a terminal, live line and rows, and keeps figures with their units", function()
    local command = ('"$SMRUN" %s steps=120'):format(quote(here .. "/experiments/xor.lua"))
    for _, columns in ipairs { 80, 60, 50 } do
      local words = printed(("rm -rf runs; %s"):format(command), columns)
      assert.truthy(words:find "\n[^\n]*done after 120 steps", words)
      fits(words, columns)
      assert.is_nil(words:find "%d\n *%%")
      assert.is_nil(words:find "%d\n *ms/step")
    end
  end)

  it("of a step of one's own shows whole figures, however many there are", function()
    write("own.lua", (named:gsub("schedule =", "train = function()\n"
      .. "local names = {} for i = 1, 9 do names['figure' .. i] = 0.1235e-12 end return names end, schedule =")))
    for _, columns in ipairs { 80, 50, 30 } do
      local words, count = printed('rm -rf runs; "$SMRUN" own.lua steps=200', columns), 0
      for live in words:gmatch "\r(step[^\r\n]*)" do
        for figure in live:gmatch "figure%d[^f]*" do
          count = count + 1
          assert.matches("^figure%d 1%.235e%-13", figure)
        end
        assert.is_true(text.width((live:gsub("\27.*", ""))) < columns, live)
      end
      assert.is_true(count > 0 or columns == 30)
    end
  end)

  it("of a run shows the names of its data and its values on one line", function()
    for _, columns in ipairs { false, 60 } do
      local words = printed("rm -rf runs; \"$SMRUN\" named.lua \"word=$(printf 'a\\033[31m\\n漢')\"", columns)
      assert.is_nil(words:find("\27[31m", 1, true))
      assert.truthy(words:find([[data       漢字\27[31mset\n: 10 train, ]], 1, true), words)
    end
  end)

  it("of a sweep fits a terminal and says why a run fails", function()
    local command = "\"$SMRUN\" named.lua \"word=$(printf 'a\\033[31m漢'),b," .. ("c"):rep(60) .. '" seed=1,2'
    for _, columns in ipairs { 80, 60 } do
      local words = printed("rm -rf runs; " .. command, columns)
      assert.is_nil(words:find("\27[31m", 1, true))
      local board = words:match "^(.-\n[^\n]*2 failed[^\n]*\n)\27?%[?J?smrun:"
      assert.truthy(board, words)
      fits(board, columns)
      assert.truthy(board:find("failed       named.lua:3: a b", 1, true), board)
      assert.is_nil(board:find "%% …", board)
    end
  end)
end)
