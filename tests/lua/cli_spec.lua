local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local quote, read, smrun = helpers.quote, helpers.read, helpers.smrun

local workspace

local function write(name, text)
  helpers.write(workspace .. "/" .. name, text)
end

local function shell(command)
  return helpers.shell(workspace, command)
end

local function run(...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = quote(word) end
  return shell('"$SMRUN" ' .. table.concat(words, " "))
end

local function assert_usage(expected, ...)
  local status, out, err = run(...)
  assert.equal("smrun: " .. expected .. "\nsee " .. helpers.shown_smrun() .. " --help\n", err)
  assert.equal("", out)
  assert.equal(2, status)
end

--- A failure: the message, and the lines of the traceback.
local function assert_failure(message, lines, ...)
  local status, _, err = run(...)
  local expected = "smrun: " .. message .. "\n"
  if #lines > 0 then expected = expected .. "stack traceback:\n\t" .. table.concat(lines, "\n\t") .. "\n" end
  assert.equal(expected, err)
  assert.equal(1, status)
end

local experiment = [[
local sm = require "sm"
local p = sm.params { groups = 2, lr = 1e-2, seed = 1, flag = false, data = "corners" }
return sm.experiment {
  data = sm.data.tensors {
    name = p.data, classes = 2,
    inputs = sm.tensor { { 0, 0 }, { 0, 1 }, { 1, 0 }, { 1, 1 } },
    targets = sm.tensor({ 0, 1, 1, 0 }, "int32"),
  },
  model = sm.nn.sequential { sm.nn.linear { 4 }, sm.nn.softmax { groups = p.groups }, sm.nn.linear { 2 } },
  optimizer = sm.optim.sgd { lr = p.lr },
  schedule = { steps = 3, batch = 4 },
  seed = p.seed,
}
]]

describe("smrun", function()
  setup(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
    assert(lfs.mkdir(workspace .. "/lab"))
    write("lab/corners.lua", experiment)
    write("lab/square.lua", "print(2 ^ 2)\n")
  end)

  teardown(function() os.execute("rm -rf -- " .. quote(workspace)) end)

  describe("without an experiment", function()
    it("shows its help", function()
      local status, out, err = run "--help"
      assert.equal(0, status)
      assert.equal("", err)
      for _, word in ipairs { "resume RUN", "eval RUN", "key=1..5", "compare RUN…", "report RUN…",
        "data NAME…", "-e CODE", "--dry-run", "130" } do
        assert.truthy(out:find(word, 1, true), word)
      end
      for line in out:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 110, line) end
      local bare_status, bare_out, bare_err = run()
      assert.equal(2, bare_status)
      assert.equal("", bare_out)
      assert.equal(out, bare_err)
    end)

    it("tells its version, and what it computes with", function()
      local status, out = run "--version"
      assert.equal(0, status)
      assert.truthy(out:find "^smrun %d+%.%d+%.%d+\n$")
      status, out = run("--version", "-v", "--threads", "3")
      assert.equal(0, status)
      for _, pattern in ipairs { "Lua 5%.4", "numbers +float%d+", "instruction set +%S", "threads +3 of %d+",
        "OpenBLAS +%S", "kernel +%S", "library +/%S" } do
        assert.truthy(out:find(pattern), pattern .. " in\n" .. out)
      end
      assert.truthy(out:find(smrun, 1, true))
    end)

    it("takes what Slurm gives a job for the cores that it may use", function()
      local function threads(environment)
        local command = ("env -u OMP_NUM_THREADS %s %s --version -v"):format(environment, quote(smrun))
        local pipe <close> = io.popen(command)
        return pipe:read "a":match "\nthreads +(%d+) "
      end
      local all = threads ""
      assert.equal("1", threads "SLURM_CPUS_PER_TASK=1 SLURM_CPUS_ON_NODE=64")
      assert.equal("1", threads "SLURM_CPUS_ON_NODE=1")
      assert.equal(all, threads "SLURM_CPUS_PER_TASK=1000")
      assert.equal(all, threads "SLURM_CPUS_PER_TASK=1x")
      assert.equal(all, threads "SLURM_CPUS_PER_TASK= SLURM_CPUS_ON_NODE=0")
      assert.equal("3", threads "SLURM_CPUS_PER_TASK=1 OMP_NUM_THREADS=3")
    end)

    it("runs a line of code and prints its value", function()
      assert.same({ 0, "1\n", "" }, { run("-e", "print(1)") })
      assert.same({ 0, "3\tb\tnil\n", "" }, { run("-e", "1 + 2, 'b', nil") })
      assert.same({ 0, "5\n", "" }, { run("-e", "local x = 2; return x + 3") })
      assert.same({ 0, "4\n", "" }, { run("-e", "sm.ones(2, 2):sum():item() // 1 | 0") })
    end)

    it("takes the code's errors as an experiment's", function()
      assert_failure("(command line):1: attempt to perform arithmetic on a nil value (local 'x')",
        { "(command line):1: in main chunk" }, "-e", "local x; return x + 1")
      assert_failure("(command line):1: <name> expected near '1'", {}, "-e", "local 1")
      assert_failure("(command line):1: undefined variable 'prin'; did you mean 'print'?",
        { "(command line):1: in main chunk" }, "-e", "prin(1)")
    end)
  end)

  describe("given the wrong words", function()
    it("suggests a command, an option", function()
      assert_usage("unknown command 'resum'; did you mean 'resume'?", "resum", "runs/x")
      assert_usage("unknown command 'xyzzy'", "xyzzy")
      assert_usage("unknown option '--agian'; did you mean '--again'?", "--agian", "lab/corners.lua")
      assert_usage("unknown option '--qqqqqq'", "lab/corners.lua", "--qqqqqq")
      assert_usage("option '--runs' requires an argument", "lab/corners.lua", "--runs")
      assert_usage("option '--again' goes with parameters: resume RUN key=value makes a new run", "resume", "x",
        "--again")
      assert_usage("option '--quiet' does not go with -e", "-e", "1", "--quiet")
      assert_usage("option '--verbose' does not go with a file to run", "-v", "lab/corners.lua")
      assert_usage("option '--threads' must be an integer from 1 to 1024, got '0'", "--threads", "0", "-e", "1")
      assert_usage("option '--threads' must be an integer from 1 to 1024, got 'two'", "--threads", "two", "-e", "1")
      assert_usage("option '--runs' must be a directory, got ''", "--runs", "", "x.lua")
      assert_usage("unknown option '-x'; did you mean one of '-e' '-h' '-i' '-v'?", "-x")
    end)

    it("says how many words a command takes", function()
      assert_usage("'resume' needs RUN", "resume")
      assert_usage("'data' needs NAME…", "data")
      assert_usage("unexpected argument 'b' after 'eval RUN'", "eval", "a", "b")
      assert_usage("unexpected argument 'a'", "-e", "1", "a")
      assert_usage(("unexpected argument '%s…'"):format(("a"):rep(500)), "-e", "1", ("a"):rep(100000))
      assert_usage("no data set 'mnit' to fetch (there are fashion, mnist); did you mean 'mnist'?", "data", "mnit")
    end)

    it("suggests a file", function()
      assert_usage("no such file 'lab/corner.lua'; did you mean 'lab/corners.lua'?", "lab/corner.lua")
      assert_usage("no such file 'lab/corners'; did you mean 'lab/corners.lua'?", "lab/corners")
      assert_usage("no such file 'lab/xyzzy.lua'; 'lab' has corners.lua, square.lua", "lab/xyzzy.lua")
      assert_usage("no such file 'nowhere/x.lua'; there is no directory 'nowhere'", "nowhere/x.lua")
      assert_usage("'lab' is a directory, expected a Lua file; it has corners.lua, square.lua", "lab")
    end)

    it("suggests a run directory", function()
      assert_usage("no such run directory 'lob'; did you mean 'lab/'?", "eval", "lob")
      assert_usage("'lab' is not a run directory: it has no experiment.lua; found corners.lua, square.lua",
        "resume", "lab/")
    end)

    it("names a parameter that is unknown, mistyped, given twice or misplaced", function()
      local file <const> = "lab/corners.lua"
      assert_usage("unknown parameter 'group'; did you mean 'groups'?", file, "group=2")
      assert_usage("parameter 'groups' must be an integer like its default 2, got '1,2'", file, [[groups=1\,2]])
      for _, form in ipairs { "1-3", "1...3", "1:3" } do
        assert_usage("parameter 'groups' must be an integer like its default 2, got '" .. form
          .. "'; a range is written groups=1..3", file, "groups=" .. form)
      end
      assert_usage("parameter 'groups' must be an integer like its default 2, got '[4'; several values are written "
        .. "groups=1,2,3 or 1..3", file, "groups=[4,8]")
      assert_usage("parameter 'flag' must be true or false like its default false, got '1'", file, "flag=1")
      assert_usage("parameter 'seed' is given twice", file, "seed=1", "seed=2")
      assert_usage("unexpected argument 'seed'; parameters are given as key=value", file, "seed")
      assert_usage("expected a file or a command before 'lr=0.1'", "lr=0.1", file)
      local status, _, err = run("lab/square.lua", "seed=1")
      assert.truthy(err:find("smrun: unknown parameter 'seed'; this file declares no parameters\n", 1, true), err)
      assert.equal(2, status)
    end)
  end)

  describe("runs a file", function()
    it("that is a plain script", function()
      assert.same({ 0, "4.0\n", "" }, { run "lab/square.lua" })
      write("shebang.lua", "#!/usr/bin/env smrun\nprint(arg[0], ...)\nerror 'here'\n")
      local status, out, err = run "shebang.lua"
      assert.equal("shebang.lua\n", out)
      assert.truthy(err:find("smrun: shebang.lua:3: here\n", 1, true))
      assert.equal(1, status)
    end)

    it("that requires a module beside it", function()
      write("lab/helper.lua", "return { answer = 42 }\n")
      write("lab/asks.lua", "print(require 'helper'.answer)\n")
      local status, out = run "lab/asks.lua"
      os.remove(workspace .. "/lab/helper.lua")
      os.remove(workspace .. "/lab/asks.lua")
      assert.same({ 0, "42\n" }, { status, out })
    end)

    it("that is an experiment, checks it, and writes nothing", function()
      local status, out, err = run("--dry-run", "lab/corners.lua", "seed=3", "--runs", "there", "lr=1e-3")
      assert.equal("", err)
      assert.equal(0, status)
      assert.truthy(out:find("there/corners/lr=0.001,seed=3", 1, true), out)
      assert.truthy(out:find("linear1", 1, true), out)
      assert.is_nil(lfs.attributes(workspace .. "/there"))
    end)

    it("that is a script which trains, unless options are for an experiment that a file returns", function()
      local text = read(workspace .. "/lab/corners.lua")
      write("lab/trains.lua", (text:gsub("return sm.experiment", "local e = sm.experiment")) .. "\nprint 'before'\n"
        .. "e:run { file = arg[0], quiet = true, dry_run = true }\nprint 'after'\n")
      for option, said in pairs { ["--dry-run"] = "dry_run = true", ["--again"] = "again = true" } do
        local status, out, err = run("lab/trains.lua", option)
        assert.same({ 1, "before\n" }, { status, out })
        helpers.has(err, ("lab/trains.lua:%d: option '%s' is for a file that returns an experiment; this script trains "
          .. "it itself: experiment:run { file = arg[0], %s }"):format(select(2, text:gsub("\n", "")) + 3,
          option, said))
      end
      assert.same({ 0, "before\nafter\n", "" }, { run("lab/trains.lua", "--runs=there") })
      local status, _, err = run("lab/trains.lua", "seed=1,2")
      assert.equal(1, status)
      helpers.has(err, "a sweep needs a file that returns an experiment; this script trains it itself")
      assert.equal(0, (run "lab/trains.lua"))
      os.remove(workspace .. "/lab/trains.lua")
    end)

    it("that returns an experiment with another name in whatever words, or also writes by itself", function()
      local text = read(workspace .. "/lab/corners.lua"):gsub("return sm.experiment {", '%0 name = "other",')
      local by_name = text:gsub("return sm.experiment", "local e = sm.experiment") .. "\nreturn e\n"
      local saves = "require 'sm'.save('x.npy', require 'sm'.ones(1))\n"
      for name, given in pairs { plain = text, by_name = by_name } do
        local file = ("lab/%s.lua"):format(name)
        write(file, given)
        assert.equal(0, (run(file, "--quiet", "--runs", name)))
        assert.truthy(lfs.attributes(("%s/%s/other/default/summary.json"):format(workspace, name)))
        assert.is_nil(lfs.attributes(("%s/%s/%s"):format(workspace, name, name)))
        write(file, saves .. given)
        assert.equal(0, (run(file, "--quiet", "--runs=both", "--again")))
        assert.truthy(lfs.attributes(("%s/both/%s/x.npy"):format(workspace, name)))
        os.remove(workspace .. "/" .. file)
      end
    end)

    it("that is an experiment, and evaluates what it left", function()
      local status, _, err = run("lab/corners.lua", "--quiet", "groups=1")
      assert.same({ 0, "" }, { status, err })
      status, _, err = run("eval", "runs/corners/groups=1/")
      assert.same({ 0, "" }, { status, err })
      local out
      status, out = run("resume", "runs/corners/groups=1")
      assert.equal(0, status)
      assert.truthy(out:find("done before", 1, true), out)
      assert_usage("'lab/corners.lua' is not a run directory: it has no experiment.lua; 'runs/corners' has groups=1/",
        "resume", "lab/corners.lua")
      assert_usage("'runs/corners/groups=1/' is a run, expected a Lua file; `smrun eval` and `smrun resume` take it",
        "runs/corners/groups=1/")
      assert_usage("'runs/corners' is a directory of runs, expected a Lua file; `smrun compare` and `smrun report` "
        .. "take it", "runs/corners")
      assert_usage("there is no run in 'lab/corners.lua'; did you mean 'runs/corners'?", "compare", "lab/corners.lua")
      assert_usage("no such run directory 'corners'; did you mean 'runs/corners'?", "report", "corners")
      assert_usage("no such run directory 'runs/corners/groups=2'; did you mean 'runs/corners/groups=1/'?",
        "resume", "runs/corners/groups=2")
    end)

    it("and refuses one that returns something else", function()
      write("returns.lua", "return 5\n")
      assert_failure("returns.lua: expected the file to return an experiment (return sm.experiment { … }) "
        .. "or nothing, got number 5", {}, "returns.lua")
    end)
  end)

  describe("reports an error", function()
    it("with the lines of the user's own files", function()
      write("nested.lua", table.concat({
        'local sm = require "sm"',
        'local function inner()',
        '  local y = sm.ones(2, 3):matmul(sm.ones(2, 3))',
        '  return y',
        'end',
        'local function outer() local y = inner() return y end',
        'outer()',
      }, "\n"))
      local status, _, err = run "nested.lua"
      assert.equal(1, status)
      assert.truthy(err:find "^smrun: nested%.lua:3: [^\n]+\nstack traceback:\n", err)
      assert.equal("stack traceback:\n\tnested.lua:3: in upvalue 'inner'\n\tnested.lua:6: in local 'outer'\n"
        .. "\tnested.lua:7: in main chunk\n", err:match "stack traceback.*")
      for trust, file in pairs { [""] = "worker", ["--trust "] = "init" } do
        status, _, err = shell(('SM_TRACEBACK=full "$SMRUN" %snested.lua'):format(trust))
        assert.equal(1, status)
        assert.truthy(err:find(("sm/cli/%s.lua"):format(file), 1, true), err)
      end
    end)

    it("in the text of a file", function()
      write("syntax.lua", "local x = 1\nlocal y = = 2\n")
      assert_failure("syntax.lua:2: unexpected symbol near '='", {}, "syntax.lua")
      write("binary.lua", string.dump(load "return 1"))
      assert_failure("binary.lua: expected Lua text, got a binary chunk, which Lua does not check", {}, "binary.lua")
    end)

    it("for a stray global, by its name and line, also in a function that is called later", function()
      write("reads.lua", "local x = 1\nlocal function f() return x + cuont end\nlocal y = f()\nreturn y\n")
      assert_failure("reads.lua:2: undefined variable 'cuont'", { "reads.lua:2: in local 'f'",
        "reads.lua:3: in main chunk" }, "reads.lua")
      write("writes.lua", "\ncount = 1\n")
      assert_failure("writes.lua:2: assignment to global 'count'; write 'local count = …'",
        { "writes.lua:2: in main chunk" }, "writes.lua")
      write("defines.lua", "function f() end\n")
      assert_failure("defines.lua:1: assignment to global 'f'; write 'local function f'",
        { "defines.lua:1: in main chunk" }, "defines.lua")
      write("replaces.lua", "print = nil\n")
      assert_failure("replaces.lua:1: assignment to global 'print'; write 'local print = …'",
        { "replaces.lua:1: in main chunk" }, "replaces.lua")
    end)

    it("whatever value was raised", function()
      local lines <const> = { "(command line):1: in main chunk" }
      assert_failure('an error that is a table: {code = 2, text = "a\\nb"}', lines, "-e",
        'error { code = 2, text = "a\\nb" }')
      assert_failure("an error without a message (nil)", lines, "-e", "error()")
      assert_failure("an error that is a boolean: false", lines, "-e", "error(false)")
      assert_failure("custom", lines, "-e", 'error(setmetatable({}, { __tostring = function() return "custom" end }))')
    end)

    it("when the stack is full", function()
      local status, _, err = run("-e", "local function f() return 1 + f() end return f()")
      assert.equal(1, status)
      assert.truthy(err:find("smrun: (command line):1: stack overflow\nstack traceback:\n", 1, true), err)
      assert.truthy(err:find("\n\t…\n$"), err)
    end)

    it("when memory runs out", function()
      local limited <const> = 'ulimit -v 300000; "$SMRUN" -e '
      if shell(limited .. "1") ~= 0 then return pending "a build with sanitizers cannot be given a limit" end
      local status, _, err = shell(limited .. "'local t = {} for i = 1, math.huge do t[i] = {} end'")
      assert.same({ 1, "smrun: not enough memory\n" }, { status, err })
    end)

    it("when standard output is full", function()
      local status, _, err = shell [["$SMRUN" -e 'print(1)' > /dev/full]]
      assert.same({ 1, "smrun: standard output could not be written\n" }, { status, err })
    end)

    it("when the library is not there", function()
      assert.equal(0, (shell 'mkdir -p moved/bin && cp "$SMRUN" moved/bin/'))
      local status, _, err = shell "moved/bin/smrun --version"
      assert.equal(1, status)
      local place = "/moved/share/smrun/lua/sm/cli/init.lua"
      assert.truthy(err:find("smrun: the library of smrun is not where it should be: cannot read /", 1, true), err)
      assert.truthy(err:find(place .. " (No such file or directory)\n", 1, true), err)
    end)
  end)

  describe("stops", function()
    --- Sends a signal when the code has printed a line; what it prints comes unbuffered. Whatever runs these tests
    -- may ignore signals, and its children would then as well, hence env.
    local function interrupted(signal, code)
      return shell(([[mkfifo line; env --default-signal "$SMRUN" -e %s >line &
        read ready <line; kill -%s $!; wait $!; status=$?; rm line; exit $status]]):format(quote(code), signal))
    end

    it("when it is told to, and says where it was", function()
      for _, signal in ipairs { "TERM", "HUP", "XCPU" } do
        local status, _, err = interrupted(signal, "print 'ready' while true do end")
        assert.equal("smrun: interrupted\nstack traceback:\n\t(command line):1: in main chunk\n", err)
        assert.equal(130, status)
      end
      local status, _, err = shell [[
        timeout --preserve-status -s INT 0.3 env --default-signal "$SMRUN" -e 'while true do end']]
      assert.equal("smrun: interrupted\nstack traceback:\n\t(command line):1: in main chunk\n", err)
      assert.equal(130, status)
    end)

    it("with a flag alone while grace is asked for", function()
      local status, _, err = interrupted("TERM", [[
        local host = require "sm.host"
        host.graceful(true)
        print "ready"
        while not host.interrupted() do end
        host.graceful(false)
        io.stderr:write "saved\n"
      ]])
      assert.same({ 0, "saved\n" }, { status, err })
    end)

    it("at once when it is told a second time", function()
      local status = shell [[mkfifo line
        env --default-signal "$SMRUN" -e 'require "sm.host".graceful(true) print "ready" while true do end' >line &
        read ready <line; kill -TERM $!; sleep 0.1; kill -TERM $!; sleep 0.6; kill -TERM $!; wait $!; status=$?; rm line
        exit $status]]
      assert.equal(128 + 15, status)
    end)

    it("also where a function of Lua's runs for ever, or a finalizer at the end, and says so", function()
      for _, code in ipairs {
        "print 'ready' print(('a'):rep(1e5):find(('a-'):rep(150) .. 'b'))",
        "local kept = setmetatable({}, { __gc = function() print 'ready' while true do end end })",
      } do
        local status, _, err = shell(([[mkfifo line; env --default-signal "$SMRUN" -e %s >line &
          used() { cut -d' ' -f14 /proc/$1/stat; }
          read ready <line; begun=$(used $!); while [ $(used $!) -lt $((begun + 5)) ]; do sleep 0.05; done
          kill -TERM $!; wait $!; status=$?; rm line; exit $status]]):format(quote(code)))
        assert.equal(128 + 15, status)
        helpers.has(err, "smrun: killed, for what ran did not stop\n")
      end
    end)

    it("quietly when nobody reads any more", function()
      local status, out, err = shell [[{ "$SMRUN" -e 'while true do print(1) end'; echo $? >status; } | head -1]]
      assert.same({ 0, "1\n", "" }, { status, out, err })
      assert.equal("130\n", read(workspace .. "/status"))
    end)
  end)

  it("finds further modules where the environment says, but its own library first", function()
    assert(lfs.mkdir(workspace .. "/more"))
    assert(lfs.mkdir(workspace .. "/more/sm"))
    write("more/extra.lua", "return 'extra'\n")
    write("more/sm/usage.lua", "error 'the wrong library'\n")
    local status, out, err = shell(
      [[LUA_PATH='more/?.lua' LUA_CPATH='x' "$SMRUN" -e 'require "extra", require "lfs" ~= nil']])
    assert.same({ 0, "extra\ttrue\n", "" }, { status, out, err })
  end)
end)
