--- Whole programs that run confined: what they say of it, where their files go, and what they leave.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local has = helpers.has

local workspace

--- A small experiment; `loss` is Lua that its loss does at each call, with `calls` how many there were.
local function experiment(loss, steps)
  return ([[
local sm = require "sm"
local p = sm.params { steps = %d, lr = 0.1 }
local x, calls = sm.randn(60, 4), 0
return sm.experiment {
  data = sm.data.tensors { inputs = x, targets = x, validation = 12 },
  model = sm.nn.sequential { sm.nn.linear { 4 } },
  loss = function(output, target)
    calls = calls + 1
    %s
    return ((output - target) ^ 2):mean()
  end,
  optimizer = sm.optim.adam { lr = p.lr },
  schedule = { steps = p.steps, batch = 8, evaluate = 10, checkpoint = 5 },
}
]]):format(steps or 20, loss or "")
end

local function write(name, content) helpers.write(workspace .. "/" .. name, content) end
local function read(name) return helpers.read(workspace .. "/" .. name) end
local function exists(name) return lfs.symlinkattributes(workspace .. "/" .. name) ~= nil end

local function shell(command)
  helpers.write(workspace .. "/command", helpers.whole_words .. command)
  local results = table.pack(helpers.shell(workspace, "exec timeout -k 5 60 sh command"))
  return table.unpack(results, 1, 3)
end

local function succeeds(command)
  local status, out, err = shell(command)
  assert.same({ 0, "" }, { status, err })
  return out
end

--- The status is that of a failure, and what is said of it.
local function fails(command, words, code)
  local status, out, err = shell(command)
  assert.equal(code or 1, status, out .. err)
  has(err, words)
  assert(not err:find "sm/[%w/_]+%.lua:%d" and not err:find "attempt to ", err)
  return out, err
end

--- Nothing but what the person has there, and what is named.
local function assert_left(...)
  local expected, found = { ["."] = true, [".."] = true, out = true, err = true, command = true }, {}
  for _, name in ipairs { ... } do expected[name] = true end
  for name in lfs.dir(workspace) do
    if not expected[name] then found[#found + 1] = name end
  end
  assert.same({}, found)
  if exists "runs" then
    for name in lfs.dir(workspace .. "/runs") do assert(name:sub(1, 1) ~= "." or #name < 3, name) end
  end
end

local function count(text, part) return select(2, text:gsub(part, "")) end

describe("a confined program", function()
  before_each(function()
    workspace = os.tmpname()
    os.remove(workspace)
    assert(lfs.mkdir(workspace))
  end)
  after_each(function() os.execute("chmod -R u+w " .. workspace .. "; rm -rf -- " .. helpers.quote(workspace)) end)

  it("finds its fonts before it is confined, and notes them in a home that has never seen any", function()
    write("fonts.conf", [[<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>
      <dir>/usr/share/fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>]])
    write("x.lua", [[
      require "sm".view.plot({ { x = { 1, 2 }, y = { 1, 2 }, name = "a" } }):save "x.png" print "drawn"]])
    lfs.mkdir(workspace .. "/home")
    has(succeeds "env -u XDG_CACHE_HOME HOME=$PWD/home FONTCONFIG_FILE=$PWD/fonts.conf $SMRUN x.lua", "drawn")
    assert.equal("directory", lfs.attributes(workspace .. "/home/.cache/fontconfig", "mode"))
  end)

  it("says what it may do, once", function()
    write("x.lua", experiment "if calls == 12 then error 'no more' end")
    local out = fails("$SMRUN x.lua", "no more")
    assert.equal(1, count(out, "confined"))
    has(out:gsub("%s+", " "), "confined reads ./, runs/, data sets; writes runs/x/default; at most ")
    local resumed = succeeds "$SMRUN resume runs/x/default"
    assert.equal(1, count(resumed, "confined"))
    has(resumed:gsub("%s+", " "), "writes runs/x/default; at most")
    has(resumed, "goes on after step 10 of 20")
    has(succeeds "$SMRUN x.lua steps=5 --dry-run", "writes nothing")
    assert.equal("", succeeds "$SMRUN x.lua steps=5 --quiet --max-memory=4G 2>&1 | grep confined || true")
    assert.equal(1, count(succeeds "$SMRUN x.lua steps=6 --write=. --read=/usr/share | tr '\n' ' '", "confined"))
    assert_left("x.lua", "runs")
  end)

  it("goes on with a run, and prints nothing twice", function()
    write("x.lua", "print 'first'\nio.stderr:write 'words\\n'\n"
      .. experiment "if calls == 12 then error 'no more' end")
    fails("$SMRUN x.lua", "no more")
    local status, out, err = shell "$SMRUN x.lua"
    assert.equal(0, status)
    assert.equal(1, count(out, "first"))
    assert.equal(1, count(err, "words"))
    has(out, "goes on after step 10 of 20")
    assert_left("x.lua", "runs")
  end)

  it("writes the files of a script beneath its directory", function()
    write("s.lua", [[
      local sm = require "sm"
      sm.save("deep/a.npy", sm.ones(2))
      local file <close> = assert(io.open("notes.txt", "w"))
      file:write "note"
      file:close()
      print(io.open("notes.txt"):read "a", sm.load "deep/a.npy":sum():item())
      print(io.open("../../s.lua", "w"))
      print(io.open("/tmp/never", "w"))]])
    local out = succeeds "$SMRUN s.lua"
    has(out, "note\t2")
    assert.equal(2, count(out, "this experiment may write in"))
    assert(exists "runs/s/deep/a.npy" and exists "runs/s/notes.txt")
    assert_left("s.lua", "runs")
    lfs.mkdir(workspace .. "/other")
    succeeds "$SMRUN s.lua --runs=other/runs"
    assert(exists "other/runs/s/notes.txt")
  end)

  it("writes the runs of a script beneath its directory, or where it is let", function()
    local text = experiment():gsub("return sm.experiment", "local e = sm.experiment")
    text = text:gsub("p = sm.params {", "p = sm.params { where = 'runs',")
    write("s.lua", text .. "print(e:run { file = arg[0], runs = p.where }.directory)")
    has(succeeds "$SMRUN s.lua", "\nruns/s/default\n")
    has(succeeds "$SMRUN s.lua where=mine", "\nruns/s/mine/s/default\n")
    fails("$SMRUN s.lua where=../mine", "may write beneath runs/s alone; `--write DIR` grants more")
    lfs.mkdir(workspace .. "/place")
    has(succeeds "$SMRUN s.lua where=place --write=place", "/place/s/default\n")
    assert(exists "place/s/default/summary.json")
    has(succeeds "$SMRUN s.lua where=place --write=place", "done before")
    assert_left("s.lua", "runs", "place")
  end)

  it("reads what is beside its file, and of a home directory the Lua files alone", function()
    write("secret.txt", "secret")
    write("own.lua", "return 'own module'")
    write("x.lua", "print(require 'own', (io.open 'secret.txt' or { read = function() return 'none' end }):read 'a')")
    has(succeeds "$SMRUN x.lua", "own module\tsecret")
    has(succeeds "HOME=$PWD $SMRUN x.lua", "own module\tnone")
    has(succeeds "HOME=$PWD/ $SMRUN x.lua --read=.", "own module\tsecret")
    lfs.mkdir(workspace .. "/within")
    has(succeeds "HOME=$PWD/within $SMRUN x.lua", "own module\tnone")
    has(succeeds "cd within && $SMRUN ../x.lua", "own module\tnone")
    assert_left("secret.txt", "own.lua", "x.lua", "within")
  end)

  it("may look like an experiment and be a script, and the other way round", function()
    local looks <const> = "--[[\nreturn sm.experiment { }\n]]\n"
    write("a.lua", looks .. "print 'first'\nlocal f = assert(io.open('n', 'w')) print 'last'")
    local out = succeeds "$SMRUN a.lua"
    assert.equal("first\nlast\n", out)
    assert(exists "runs/a/n")
    write("b.lua", (experiment():gsub("return sm.experiment", "local e = sm.experiment") .. " ;return e"))
    succeeds "$SMRUN b.lua --quiet"
    succeeds "$SMRUN b.lua --quiet lr=0.2"
    assert(exists "runs/b/default/summary.json")
    has(succeeds "$SMRUN b.lua --quiet", "done before")
    write("c.lua", looks .. "print 'only'")
    assert.equal("only\n", succeeds "$SMRUN c.lua")
    assert_left("a.lua", "b.lua", "c.lua", "runs")
  end)

  it("ends where a limit ends it, and says which", function()
    write("time.lua", "while true do pcall(function() while true do end end) end")
    fails("$SMRUN time.lua --max-time=0.5s", "it ran for more than 0.5 seconds (--max-time)")
    fails("$SMRUN time.lua --max-cpu=1s", "it used more than 1 second of processor time (--max-cpu)")
    write("memory.lua", "local t = {} for i = 1, math.huge do t[i] = ('x'):rep(1 << 20) .. i end")
    fails("$SMRUN memory.lua --max-memory=64M", "not enough memory; the limit is 64 MB (--max-memory)")
    write("disk.lua", "local f = io.open('n', 'w') while true do f:write(('x'):rep(1 << 20)) f:flush() end")
    fails("$SMRUN disk.lua --max-disk=1M", "(--max-disk)")
    write("files.lua", "for i = 1, math.huge do io.open('n' .. i, 'w'):close() end")
    fails("$SMRUN files.lua --max-files=20", "it made more than 20 files (--max-files)")
    assert_left("time.lua", "memory.lua", "disk.lua", "files.lua", "runs")
  end)

  it("cannot end by itself", function()
    write("x.lua", "os.exit(0)")
    fails("$SMRUN x.lua", "os.exit is not available in an experiment")
    assert_left "x.lua"
  end)

  --- Ends the worker of the program in the background: the one process that it has started.
  local function with_worker(what)
    return ([[$SMRUN x.lua & p=$!; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; grep -q begun out && break; done
      %s; wait $p]]):format(what)
  end

  it("says how its worker has ended", function()
    for _, text in ipairs { "print 'begun' while true do end", experiment "print 'begun' while true do end" } do
      write("x.lua", text)
      fails(with_worker "pkill -SEGV -P $p", "the experiment's process was ended by signal 11")
      fails(with_worker "pkill -KILL -P $p", "the experiment's process was ended by signal 9")
    end
    assert_left("x.lua", "runs")
  end)

  it("leaves nothing where it fails before its run", function()
    write("x.lua", "error 'at once'\n" .. experiment())
    fails("$SMRUN x.lua", "at once")
    assert_left "x.lua"
    write("x.lua", "print 'begun' while true do pcall(function() while true do end end) end\n" .. experiment())
    assert.equal(130, (shell(with_worker "kill -TERM $p")))
    assert_left "x.lua"
    assert.equal(128 + 15, (shell(with_worker "kill -TERM $p; sleep 0.7; kill -TERM $p"))) -- the next one clears up
    write("x.lua", experiment())
    succeeds "$SMRUN x.lua"
    assert_left("x.lua", "runs")
  end)

  it("runs in a directory that cannot be written", function()
    -- root writes everywhere
    local is_root = os.execute "test $(id -u) = 0"
    local as = is_root and "setpriv --reuid=65534 --regid=65534 --clear-groups $SMRUN " or "$SMRUN "
    if not os.execute((as .. "--version >/dev/null 2>&1"):gsub("%$SMRUN", helpers.quote(helpers.smrun))) then
      return pending "there is no user who may run this program and not write everywhere"
    end
    write("x.lua", "print 'read only'")
    write("e.lua", experiment())
    for _, name in ipairs { "out", "err", "command" } do write(name, "") end
    assert(os.execute("chmod a+rx-w " .. helpers.quote(workspace)))
    assert.equal("read only\n", succeeds(as .. "x.lua"))
    fails(as .. "e.lua", "cannot make the directory runs")
  end)

  it("refuses a text that is no program's", function()
    write("x.lua", "--" .. ("x"):rep(9 << 20))
    fails("$SMRUN x.lua", "x.lua has 9437186 bytes; expected a text of at most 8 MB")
  end)

  it("runs text that comes through a pipe", function()
    assert.equal("piped\n", succeeds "echo \"print 'piped'\" | $SMRUN /dev/stdin")
    assert.equal("piped\n", succeeds "mkfifo p; (echo \"print 'piped'\" >p &) ; $SMRUN p")
    write("x.lua", experiment())
    succeeds "cat x.lua | $SMRUN /dev/stdin --quiet"
    assert(exists "runs/stdin/default/summary.json")
    assert_left("p", "x.lua", "runs")
  end)

  it("takes nothing from a run that another process has begun in a directory that this one has made", function()
    for _, name in ipairs { "theirs", "theirs/checkpoints", "own", "own/checkpoints" } do
      assert(lfs.mkdir(workspace .. "/" .. name))
    end
    write("theirs/log.txt", "")
    succeeds [[$SMRUN -e 'require "sm.cli.staging".close { settled = { "theirs", "own" } }']]
    assert(exists "theirs/checkpoints" and not exists "own")
  end)

  it("is trained by one of two processes that begin at once", function()
    write("x.lua", experiment("", 200))
    for _ = 1, 3 do
      shell "rm -rf runs; for i in 1 2 3; do $SMRUN x.lua --quiet >o$i 2>&1 & done; wait"
      local summaries = 0
      for name in lfs.dir(workspace .. "/runs/x") do
        if exists(("runs/x/%s/summary.json"):format(name)) then summaries = summaries + 1 end
      end
      assert(summaries >= 1)
      for number = 1, 3 do
        local out = read("o" .. number)
        assert(out:find "validation loss" or out:find "is being trained by another process"
          or out:find "finished by another process" or out:find "done before", out)
      end
      assert_left("x.lua", "runs", "o1", "o2", "o3")
    end
  end)

  it("is limited in each run of a sweep as on its command line", function()
    write("x.lua", experiment "local f = io.open('big', 'w') f:write(('x'):rep(1 << 20)) f:close()")
    local _, out, err = shell "$SMRUN x.lua lr=0.1,0.2 --jobs=2 --max-disk=100K"
    has(out .. err, "(--max-disk)")
    assert_left("x.lua", "runs")
    write("x.lua", experiment())
    has(succeeds "$SMRUN x.lua lr=0.1,0.2 --jobs=2 --max-disk=100M --write=.", "2 finished")
    assert_left("x.lua", "runs")
  end)
end)
