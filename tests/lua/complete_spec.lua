--- What a shell offers at Tab: what smrun answers it, and what bash, zsh and fish make of that.
local lfs = require "lfs"
local complete = require "sm.cli.complete"
local helpers = require "tests.lua.helpers"
local line = require "sm.cli.line"
local options = require "sm.cli.options"

local quote, write = helpers.quote, helpers.write
local scripts <const> = lfs.currentdir() .. "/runtime/host/completion"
local home

before_each(function()
  home = os.tmpname()
  os.remove(home)
  assert(lfs.mkdir(home))
end)
after_each(function() os.execute("rm -rf " .. quote(home)) end)

--- What smrun answers a shell, as a list of lines.
local function answers(shell, typed, piece)
  local status, out, err = helpers.shell(home, ('"$SMRUN" --complete %s %s %s'):format(shell, quote(typed),
    piece and quote(piece) or ""))
  assert.equal(0, status)
  assert.equal("", err)
  local list = {}
  for answer in out:gmatch "[^\n]+" do list[#list + 1] = answer end
  return list
end

--- The same without what is said of each.
local function offered(typed)
  local list = answers("fish", typed)
  for i, answer in ipairs(list) do list[i] = answer:match "^[^\t]*" end
  return list
end

local function directories(...)
  for _, path in ipairs { ... } do os.execute("mkdir -p " .. quote(home .. "/" .. path)) end
end

local EXPERIMENT <const> = [[
local sm = require "sm"
local p = sm.params { groups = 4, lr = 1e-3, scale = false, data = "mnist", name = "a, b", from = "" }
error "nothing behind sm.params is run"
]]

--- Runs, and experiments whose paths have what shells take for their own.
local function furnish()
  directories("runs/xor/lr=0.02,seed=1", "runs/xor/lr=0.02,seed=2", "runs/my own/default", "runs/empty",
    "my dir/it's", "runs/.new-1-1")
  for _, run in ipairs { "xor/lr=0.02,seed=1", "xor/lr=0.02,seed=2", "my own/default", ".new-1-1" } do
    write(home .. "/runs/" .. run .. "/experiment.lua", "")
  end
  write(home .. "/runs/xor/lr=0.02,seed=1/summary.json", "{}")
  write(home .. "/my dir/a b.lua", EXPERIMENT)
  write(home .. "/my dir/it's/q\"uote.lua", EXPERIMENT)
  write(home .. "/my dir/notes.txt", "")
end

describe("what may follow", function()
  before_each(furnish)

  it("is a command, a Lua file or a directory", function()
    local words = {}
    for name in pairs(options.commands) do words[#words + 1] = name end
    table.sort(words)
    table.move({ "my dir/", "runs/" }, 1, 2, #words + 1, words)
    assert.same(words, offered "smrun ")
    assert.same({ "resume" }, offered "smrun res")
    for _, name in ipairs { "-e.lua", "a\27[31m.lua", "a\nb.lua" } do write(home .. "/" .. name, "") end
    directories "./--trust"
    assert.same(words, offered "smrun ") -- none of these: it would be an option, or cannot be typed
    assert.same({ "my dir/a b.lua" }, offered "smrun my\\ dir/a")
    assert.same({ "my dir/a b.lua", "my dir/it's/" }, offered "smrun --quiet 'my dir/")
  end)

  it("is found among more names than are shown", function()
    directories "many"
    os.execute(("cd %s/many && seq -f x%%g.lua 4000 | xargs touch && touch y.lua"):format(quote(home)))
    assert.same({ "many/y.lua" }, offered "smrun many/y")
    assert.equal(3000, #offered "smrun many/")
  end)

  it("is an option that goes with what is typed, with its words", function()
    for _, answer in ipairs(answers("zsh", "smrun --")) do assert.matches("^%-%-[%l-]+\t%w", answer) end
    assert.same({ "--threads", "--out", "--help" }, offered "smrun report --")
    assert.same({ "--max-memory", "--max-time", "--max-cpu", "--max-disk", "--max-files" },
      offered "smrun eval --threads 2 --max")
    assert.same({}, offered "smrun x.lua --text") -- smrun's own
    assert.same({}, offered "smrun report --runs")
  end)

  it("is an option's argument", function()
    assert.same({ "my dir/", "runs/" }, offered "smrun --runs ")
    assert.same({ "--runs=my dir/" }, offered "smrun --runs=m")
    assert.same({ "my dir/a b.lua", "my dir/it's/", "my dir/notes.txt" }, offered "smrun report --out my\\ dir/")
    assert.same({}, offered "smrun --threads ")
    assert.same({}, offered "smrun -e ")
    assert.same({}, offered "smrun -e 'return 1' ")
  end)

  it("is a run, or a directory that has some", function()
    assert.same({ "runs/my own/default\tnot finished", "runs/xor/lr=0.02,seed=1\tfinished",
      "runs/xor/lr=0.02,seed=2\tnot finished" }, answers("fish", "smrun resume "))
    assert.same({}, offered "smrun eval runs/xor/lr=0.02,seed=1 ")
    assert.same({ "runs/my own/", "runs/my own/default" }, offered "smrun compare runs/m")
    assert.same({ "runs/xor/", "runs/xor/lr=0.02,seed=1", "runs/xor/lr=0.02,seed=2" },
      offered "smrun report runs/my\\ own runs/x")
    assert.same({ "my dir/" }, offered "smrun resume my")
    os.rename(home .. "/runs", home .. "/elsewhere")
    assert.same({ "elsewhere/xor/lr=0.02,seed=2" }, offered "smrun resume elsewhere/xor/lr=0.02,seed=2")
  end)

  it("is a data set that is not named yet", function()
    assert.same({ "fashion", "mnist" }, offered "smrun data ")
    assert.same({ "mnist" }, offered "smrun data fashion ")
  end)

  it("is a parameter of the file, with its default", function()
    assert.same({ "data=\tmnist", "from=", "groups=\t4", "lr=\t0.001", "name=\ta, b", "scale=\tfalse" },
      answers("fish", "smrun 'my dir/a b.lua' "))
    assert.same({ "lr=" }, offered "smrun my\\ dir/a\\ b.lua groups=2 l")
    assert.same({}, offered "smrun my\\ dir/a\\ b.lua groups=2 g")
    assert.same({ "lr=0.001" }, offered "smrun my\\ dir/a\\ b.lua lr=")
    assert.same({ "scale=false", "scale=true" }, offered "smrun my\\ dir/a\\ b.lua scale=")
    assert.same({ "data=mnist", "data=fashion", "data=mnist_mini" }, offered "smrun my\\ dir/a\\ b.lua data=")
    assert.same({ "name=a\\, b" }, offered "smrun my\\ dir/a\\ b.lua name=") -- a comma separates values
    assert.same({ "from=runs/" }, offered "smrun my\\ dir/a\\ b.lua from=r")
  end)

  it("comes from the tables of commands and options alone", function()
    options.commands.fresh = { words = "RUN FILE…", takes = { "data", "script" }, least = 1, most = 3, options = {} }
    table.insert(options.options, { "--form", target = "form", takes = { "npz", "onnx" } })
    finally(function()
      options.commands.fresh = nil
      table.remove(options.options)
    end)
    local function first(...)
      local list = complete.candidates { "smrun", ... }
      return list[1] and list[1][1]
    end
    assert.equal("fashion", first("fresh", ""))
    assert.matches("/$", first("fresh", "mnist", ""))
    assert.is_nil(first("fresh", "mnist", "a.lua", "b.lua", ""))
    package.loaded["sm.cli.complete"] = nil -- what is read once
    complete = require "sm.cli.complete"
    assert.equal("npz", first("fresh", "--form", ""))
    assert.equal("--form=npz", first("fresh", "--form=n"))
  end)

  it("is known of every command and every option", function()
    local function known(kind) return type(kind) == "table" or complete.kinds[kind] end
    for name, command in pairs(options.commands) do
      assert(command.takes or command.most == 0, name .. ": takes says what its words are")
      for _, kind in ipairs(command.takes or {}) do assert(known(kind), name .. ": no such kind") end
    end
    for _, option in ipairs(options.options) do assert(not option.takes or known(option.takes), option[1]) end
  end)
end)

describe("words", function()
  it("are read as the shells read them", function()
    assert.same({ "smrun", "my dir/it's", 'a"b', "" }, (line.read("bash", [[smrun my\ dir/it\'s 'a"b' ]])))
    assert.same({ "a$b", "c d" }, (line.read("bash", [["a\$b" c' d]])))
    assert.equal("'", select(2, line.read("bash", [["a\$b" c' d]])))
    assert.same({ "a'b" }, (line.read("fish", [['a\'b]])))
    assert.same({ "" }, (line.read("zsh", "")))
  end)

  it("go to bash with quotes, and from the place where it breaks words", function()
    furnish()
    assert.same({ "0.02,seed=1", "0.02,seed=2" }, answers("bash", "smrun resume runs/xor/lr=", ""))
    assert.same({ "1" }, answers("bash", "smrun resume runs/xor/lr=0.02,seed=1", "1"))
    assert.same({ "my\\ dir/it\\'s/q\\\"uote.lua" }, answers("bash", [[smrun my\ dir/it\'s/]], [[my\ dir/it\'s/]]))
    assert.same({ [[my dir/it'\''s/]] }, answers("bash", "smrun 'my dir/i", "my dir/i"))
    assert.same({ [[my dir/it's/q\"uote.lua]] }, answers("bash", [[smrun "my dir/it's/]], [["my dir/it's/]]))
    assert.same({ "a\\!b", "a!b", nil }, { line.for_bash("a!b"), line.for_bash("a!b", "'"), line.for_bash("a!b", '"') })
  end)
end)

describe("a file that means no good", function()
  local function seconds_of(source)
    write(home .. "/it.lua", source)
    local began = require "sm.runtime".system.now()
    local list = answers("fish", "smrun it.lua ")
    return list, require "sm.runtime".system.now() - began
  end

  it("takes two seconds at most", function()
    local list, seconds = seconds_of "while true do end -- params"
    assert.same({}, list)
    assert.is_true(seconds < 10, seconds) -- on a busy machine
  end)

  it("prints for nobody, writes nothing, starts nothing, and gets no memory without end", function()
    for _, source in ipairs {
      "while true do print(('x'):rep(1 << 16)) end",
      "local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end",
      "io.open('made', 'w'):write('x')", "os.execute('touch made')", "error('no')", "syntax error", "os.exit(0)",
      "local f = io.open('made', 'w') require('sm').params { a = 1 }", "return setmetatable({}, { __gc = error })",
    } do
      assert.same({}, (seconds_of(source .. " -- params")), source)
      assert.is_nil(lfs.attributes(home .. "/made"), source)
      assert.is_nil(lfs.attributes(home .. "/runs"), source)
    end
  end)

  it("puts nothing into the terminal that it would obey", function()
    local list = seconds_of [[require "sm".params { a = "\27]0;owned\7", b = "\u{202E}x\ny" }]]
    assert.same({ "a=\t\\27]0;owned\\a", "b=\t\\u{202E}x\\ny" }, list)
    assert.same({}, offered "smrun it.lua a=") -- what cannot be typed
    assert.same({}, (seconds_of [[require "sm".params { ["a\27[2J"] = 1 }]]))
    write(home .. "/esc\27[2J.lua", "")
    write(home .. "/esc.lua", "")
    assert.same({ "esc.lua" }, offered "smrun es")
  end)

  it("is not believed what it says in the name of the worker", function()
    local status, out = helpers.shell(home, [["$SMRUN" -e '
      local read, encode = require "sm.cli.parameters".read, require "sm.cli.message".encode
      local many = {}
      for i = 1, 1001 do many["a" .. i] = i end
      print(read(encode { declared = { a = 1 } }).a, read "", read "x", read(encode {}), read(encode { declared = 1 }),
        read(encode { declared = { ["a b"] = 1 } }), read(encode { declared = { a = {} } }),
        read(encode { declared = { 1 } }), read(encode { declared = many }),
        read(encode { declared = { a = ("x"):rep(1 << 17) } }))']])
    assert.equal(0, status)
    assert.equal("1" .. ("\tnil"):rep(9) .. "\n", out)
  end)

  it("may be a pipe, a directory, or nothing at all", function()
    os.execute("mkfifo " .. quote(home .. "/pipe.lua"))
    directories "directory.lua"
    for _, name in ipairs { "pipe.lua", "directory.lua", "none.lua", "/dev/zero" } do
      assert.same({}, offered(("smrun %s "):format(name)))
    end
    assert.same({}, answers("ksh", "smrun "))
    assert.equal(0, (helpers.shell(home, '"$SMRUN" --complete')))
  end)
end)

-- The shells ------------------------------------------------------------------------------------------------------

--- Whether a program is there; the test is left out by name where it is not.
local function has(name)
  if os.execute("command -v " .. name .. " >/dev/null 2>&1") then return true end
  pending(name .. " is not on this machine")
end

local BASH <const> = [[
source "$SCRIPTS/smrun.bash"
show() { printf '<%s>\n' "$READLINE_LINE"; READLINE_LINE=; }
bind -x '"\C-g": show'
]]
local ZSH <const> = [[
fpath=($SCRIPTS $fpath); autoload -Uz compinit; compinit -u -D
show() { print -r -- "<$BUFFER>"; BUFFER=; }; zle -N show; bindkey '^G' show
]]

--- What an interactive shell has in its line after what was typed and Tab.
local function typed_into(shell, lines)
  write(home .. "/.bashrc", BASH)
  write(home .. "/.zshrc", ZSH)
  write(home .. "/keys", table.concat(lines, "\t\7") .. "\t\7exit\r")
  local program = shell == "bash" and "bash --noprofile --rcfile .bashrc -i" or "zsh -i"
  local _, out = helpers.shell(home, ("export SCRIPTS=%s PATH=%s:$PATH ZDOTDIR=$PWD HOME=$PWD TERM=xterm; "
    .. "timeout 60 script -qec '%s' /dev/null <keys"):format(quote(scripts), quote(helpers.smrun:match "^(.*)/"),
    program))
  local found = {}
  for text in out:gmatch "<([^>]*)>" do found[#found + 1] = text end
  return found
end

describe("a shell", function()
  before_each(furnish)

  it("such as bash gets what its function is asked for", function()
    write(home .. "/ask.sh", [[
      source "$SCRIPTS/smrun.bash"
      COMP_LINE='smrun resume runs/xor/lr=0.02,seed=; ls' COMP_POINT=35
      _smrun "$SMRUN" '' '='
      printf '%s\n' "${COMPREPLY[@]}"
      complete -p smrun]])
    local _, out = helpers.shell(home, ("SCRIPTS=%s bash ask.sh"):format(quote(scripts)))
    assert.equal("1\n2\ncomplete -F _smrun smrun\n", out)
  end)

  it("such as bash completes a line", function()
    if not has "script" then return end
    assert.same({ "smrun resume ", "smrun my\\ dir/", "smrun my\\ dir/a\\ b.lua lr=",
      "smrun my\\ dir/a\\ b.lua lr=0.001 ",
      "smrun resume runs/my\\ own/default ", "smrun report runs/xor/lr=0.02,seed=" },
      typed_into("bash", { "smrun resu", "smrun my", "smrun my\\ dir/a\\ b.lua l", "smrun my\\ dir/a\\ b.lua lr=",
        "smrun resume runs/m", "smrun report runs/xor/lr" }))
  end)

  it("such as zsh completes a line", function()
    if not has "script" or not has "zsh" then return end
    assert.same({ "smrun resume ", "smrun my\\ dir/", "smrun my\\ dir/a\\ b.lua lr=",
      "smrun my\\ dir/a\\ b.lua lr=0.001 ",
      "smrun resume 'runs/my own/default' " },
      typed_into("zsh", { "smrun resu", "smrun my", "smrun my\\ dir/a\\ b.lua l", "smrun my\\ dir/a\\ b.lua lr=",
        "smrun resume 'runs/my own/d" }))
  end)

  it("such as fish completes a line", function()
    if not has "fish" then return end
    local function fish(text)
      local _, out = helpers.shell(home, ("PATH=%s:$PATH HOME=$PWD fish --no-config -c %s -- %s"):format(
        quote(helpers.smrun:match "^(.*)/"), quote(("source %s/smrun.fish; complete -C $argv[1]"):format(scripts)),
        quote(text)))
      return out
    end
    assert.matches("^resume\t%w", (fish "smrun resu"))
    assert.equal("my dir/it's/\n", (fish "smrun 'my dir/it"))
    assert.equal("lr=\t0.001\n", (fish "smrun my\\ dir/a\\ b.lua l"))
    assert.equal("runs/my own/default\tnot finished\n", (fish "smrun resume runs/my"))
  end)
end)
