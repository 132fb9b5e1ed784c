--- A worker that has been taken over says and does what it likes. The supervisor neither crashes nor hangs, writes
-- nowhere but in the run's directory, and tells of no success that it has not seen.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local standin = dofile "tests/lua/standin.lua"

local workspace

local function attack(code, given)
  local output, status = standin.attack(workspace, code, given)
  assert(not output:find "sm/[%w/_]+%.lua:%d+:" and not output:find "attempt to ", output)
  return output, status
end

local function exists(path)
  return lfs.symlinkattributes(workspace .. "/" .. path) ~= nil
end

--- The status is that of a failure which the supervisor tells of in a line of its own, and nothing is left.
local function fails(words, code, given)
  local output, status = attack(code, given)
  helpers.has(output, words)
  assert.equal(1, status, output)
  return output
end

--- A run directory of somebody else's.
local function write_run(path, summary)
  os.execute(("mkdir -p '%s/%s/checkpoints'"):format(workspace, path))
  for step = 1, 5 do
    standin.write(("%s/%s/checkpoints/step-%06d.safetensors"):format(workspace, path, step), "kept")
  end
  for name, text in pairs { ["experiment.lua"] = "other", ["params.json"] = "{}", ["log.txt"] = "kept\n",
    ["metrics.csv"] = "step\n", ["summary.json"] = summary or nil } do
    standin.write(("%s/%s/%s"):format(workspace, path, name), text)
  end
end

local function assert_kept(path)
  for step = 1, 5 do assert(exists(("%s/checkpoints/step-%06d.safetensors"):format(path, step)), step) end
  assert.equal("kept\n", standin.read(("%s/%s/log.txt"):format(workspace, path)))
  assert(not exists(path .. "/report.html"))
end

local too_much <const> = "the experiment's process sent what it should not"

describe("a supervisor", function()
  before_each(function() workspace = standin.workspace() end)
  after_each(function() os.execute("rm -rf -- " .. helpers.quote(workspace)) end)

  it("has an answer to each call, and to no other", function()
    local status, out = helpers.shell(workspace, [[exec "$SMRUN" -e '
      local known, answers = require "sm.cli.calls".calls, require "sm.cli.answers".calls
      for name in pairs(known) do assert(answers[name], name) end
      for name in pairs(answers) do assert(known[name], name) end
      return "each"']])
    assert.same({ 0, "each\n" }, { status, out })
  end)

  it("believes a run that it has seen to its end", function()
    local output, status = attack [[
      local placed = train()
      assert(placed.state == "new" and placed.path == "runs/x/default")
      call("note", { given = "a note" })
      call("row", { row = { step = 1, train_loss = 2 }, steps = 2 })
      assert(call("conclude_run", { summary = { seed = 1, steps = 2, wall_seconds = 3 } }))
      call("report", { steps = 2, pause = 0 })
      call("finished", { pictures = false })
      return "done"]]
    assert.equal(0, status, output)
    helpers.has(output, "step      1/2   train loss 2")
    helpers.has(output, "runs/x/default")
    assert(exists "runs/x/default/summary.json")
    helpers.has(standin.read(workspace .. "/runs/x/default/log.txt"), "a note")
  end)

  it("takes the end of a script for a success, and no process's that ends by itself", function()
    assert.equal(0, select(2, attack([[return "done"]], { kind = "script" })))
    assert(not exists "runs")
    fails("ended by itself, with exit code 0", "return 0")
    fails("ended by itself, with exit code 7", "return 7")
    fails("ended by signal 11", [[os.execute "kill -SEGV $PPID"; os.execute "sleep 5"]])
    fails("ended by signal 11", [[call("ended", { code = 0 }); os.execute "kill -SEGV $PPID"; os.execute "sleep 5"]])
    assert(not exists "runs")
  end)

  it("takes no run for finished that is not", function()
    local unfinished = "is not finished, and the experiment's process has ended"
    fails("runs/x/default " .. unfinished, [[train(); return "done"]])
    fails("runs/x/default " .. unfinished, [[train(); call("ended", { code = 130 }); return "done"]])
    fails("the run is not finished", [[train(); call("finished", { pictures = false }); return "done"]])
    fails("the run is not finished", [[place(); call "finished_already"; return "done"]])
    fails("runs/other/default " .. unfinished, [[return "done"]], {
      what = "resume", run = "runs/other/default", before = "mkdir -p runs/other/default",
    })
    for _, code in ipairs { "256", "1", "-1", "0.5", "2^53|0" } do
      fails(too_much, ("call('ended', { code = %s })"):format(code))
    end
    fails(too_much, [[call "ended"]])
    fails(too_much, [[call("ended", { code = 0, problem = { message = "both" } })]])
  end)

  for name, fields in pairs {
    say = "{ given = 'x' }", conclude = "{ given = 'x' }", note = "{ given = 'x' }", clear = "{}",
    row = "{ row = { step = 1 }, steps = 1 }", step = "{ step = 1, steps = 1, figures = {}, seconds = 1 }",
    finished = "{ pictures = true }", finished_already = "{}", predicted_all = "{}",
    predicted = "{ rows = {}, done = '' }", interrupted_run = "{ step = 1, steps = 1 }",
    plan = "{ path = 'x', about = { name = 'x', variant = 'x', model = 'x', data = 'x', optimizer = 'x', steps = 1, "
      .. "batch = 1, seed = 1, threads = 1, frozen = {} } }",
  } do
    it("refuses '" .. name .. "' before what it needs", function()
      fails(name .. " comes too early", ("call(%q, %s); return 'done'"):format(name, fields))
    end)
  end

  for name, fields in pairs {
    open = "{ path = 'runs/x/default' }", prune = "{ keep = 1, step = 5 }", conclude_run = "{ summary = { seed = 1 } }",
    report = "{ steps = 1, pause = 0 }",
  } do
    it("answers '" .. name .. "' before what it needs with an error", function()
      fails("too early", ([[
        local answer, problem = call(%q, %s)
        io.stdout:write(tostring(problem), "\n")
        return answer and "done" or 1]]):format(name, fields))
    end)
  end

  it("answers what cannot be with an error, and goes on", function()
    local output, status = attack [[
      local function no(name, fields)
        local answer, problem = call(name, fields)
        assert(answer == nil and problem and not problem:find "%.lua:%d", tostring(problem))
      end
      no("publish", { place = "a.lua", text = "" })
      no("place", { name = "x", variant = "default", identity = identity { source = "another" } })
      train()
      no("open", { path = "runs/other/default" })
      no("open", { path = "/tmp" })
      no("conclude_run", { summary = {} })
      no("conclude_run", { summary = { seed = 1, steps = 0/0 } })
      no("conclude_run", { summary = { seed = 1, test_loss = 1/0 } })
      no("conclude_run", { summary = { seed = 2^70 } })
      assert(call("prune", { keep = 1 << 53, step = 1 << 53 }))
      assert(call("prune", { keep = 0, step = 0 }))
      call("screen", {})
      call("graceful", { on = true })
      call("graceful", { on = false })
      call "asked"
      assert(call "surroundings")
      return 3]]
    assert.equal(1, status, output)
    helpers.has(output, "exit code 3")
  end)

  it("gives no rights on another's run", function()
    for _, summary in ipairs { false, '{"seed": 1}' } do
      write_run("runs/other/default", summary)
      for _, given in ipairs {
        {}, { kind = "script" }, { what = "resume", run = "runs/own/default" }, { options = "dry_run = true" },
        { what = "evaluate", run = "runs/own/default" },
      } do
        write_run "runs/own/default"
        local output, status = attack([[
          train()
          for _, planning in ipairs { true, false } do
            for _, from_file in ipairs { true, false } do
              for _, runs in ipairs { "runs", "runs/other", "../other", false } do
                local _ = call("place", { name = "other", variant = "default", planning = planning, runs = runs or nil,
                  identity = identity { source = from_file and work.source or "other", from_file = from_file } })
                call("open", { path = "runs/other/default" })
                call("open", { path = "runs/x/../other/default" })
                call("prune", { keep = 0, step = 100 })
                call("report", { steps = 1, pause = 0, ended = { how = "x" } })
                call("note", { given = "hello" })
                call("conclude_run", { summary = { seed = 2 } })
              end
            end
          end
          return 3]], given)
        assert.equal(1, status, output)
        assert_kept "runs/other/default"
        assert.equal(summary and '{"seed": 1}', exists "runs/other/default/summary.json"
          and standin.read(workspace .. "/runs/other/default/summary.json"))
      end
    end
  end)

  it("follows no link that a script has made", function()
    write_run "runs/other/default"
    lfs.mkdir(workspace .. "/empty")
    local output, status = attack([[
      lfs.mkdir "runs/x"
      lfs.link("../other", "runs/x/linked", true)
      lfs.link("../../empty", "runs/x/empty", true)
      lfs.mkdir "runs/x/within"
      lfs.link("../../../empty", "runs/x/within/default", true)
      for _, name in ipairs { "linked", "empty", "within" } do
        for _, runs in ipairs { name, name .. "/.", "./" .. name .. "//", false } do
          local placed, problem = train { name = name, runs = runs or nil,
            identity = identity { from_file = false, source = "other" } }
          call("open", { path = ("runs/x/%s/default"):format(name) })
          call("prune", { keep = 0, step = 100 })
          call("conclude_run", { summary = { seed = 2 } })
          call("report", { steps = 1, pause = 0, ended = { how = "x" } })
        end
      end
      -- replaced between two calls
      local placed = assert(train { name = "swapped", identity = identity { from_file = false } })
      os.rename("runs/x/swapped", "runs/x/away")
      lfs.link("../../empty", "runs/x/swapped", true)
      call("prune", { keep = 0, step = 100 })
      call("conclude_run", { summary = { seed = 2 } })
      call("report", { steps = 1, pause = 0, ended = { how = "x" } })
      call("open", { path = placed.path })
      return 3]], { kind = "script" })
    assert.equal(1, status, output)
    assert_kept "runs/other/default"
    for name in lfs.dir(workspace .. "/empty") do assert(name == "." or name == "..", name) end
  end)

  it("writes through no link or pipe in a run's directory", function()
    standin.write(workspace .. "/canary", "kept")
    local output, status = attack [[
      local placed = train()
      for _, name in ipairs { "summary.json", "report.html", "log.txt", "spent.json" } do
        os.remove(placed.path .. "/" .. name)
        lfs.link("../../../canary", placed.path .. "/" .. name, true)
      end
      os.execute("rm -rf " .. placed.path .. "/checkpoints && ln -s ../../../ " .. placed.path .. "/checkpoints")
      call("conclude_run", { summary = { seed = 2 } })
      call("report", { steps = 1, pause = 0 })
      call("prune", { keep = 0, step = 100 })
      call("open", { path = placed.path })
      call("note", { given = "a note" })
      os.execute("rm -f " .. placed.path .. "/log.txt && mkfifo " .. placed.path .. "/log.txt")
      call("open", { path = placed.path })
      call("say", { given = "still here" })
      return 3]]
    assert.equal(1, status, output)
    helpers.has(output, "still here")
    assert.equal("kept", standin.read(workspace .. "/canary"))
  end)

  it("begins anew a few times at most", function()
    fails("is another process's", [[
      for number = 1, 100 do
        local file <close> = io.open("count", "a+")
        local before = #file:read "a"
        file:write "."
        local placed, problem = place { name = "x" .. before + number }
        if problem then io.stdout:write(problem, "\n") return 3 end
      end]])
    assert(not exists "runs", "something is left")
  end)

  it("bears what is huge or no number", function()
    local output, status = attack([[
      train()
      local figures, many = { step = 1 }, {}
      for i = 1, 5000 do figures["train_" .. i], many["m" .. i] = i, 0/0 end
      call("row", { row = figures, steps = 1, metrics = many })
      call("row", { row = { step = 1, train_loss = 0/0, step_ms = 1/0 }, steps = 1 << 53 })
      call("step", { step = 1, steps = 1 << 53, figures = many, seconds = 0 })
      call("say", { given = ("\27[2J"):rep(30000), indent = 200 })
      call("say", { given = ("ab "):rep(80000), indent = 200 })
      call("note", { given = ("\n"):rep(200000) })
      call("report", { steps = 1, pause = 1e9 })
      return 3]])
    assert.equal(1, status, output:sub(-1000))
    assert(not output:find("\27[2J", 1, true))
  end)

  for _, code in ipairs {
    "send ''", "send '\255'", "send 'T'", "send(('T\\1\\0\\0\\0'):rep(1000))", "call('no such call')",
    "train(); call('say', { given = ('x'):rep(1 << 23) })", "train(); call('say', { given = '', indent = 1 << 40 })",
    "train(); call('step', { step = 2, steps = 1, figures = {}, seconds = 1 })",
    "train(); call('step', { step = 0, steps = 0, figures = {}, seconds = 1 })",
    "train(); call('step', { step = 1, steps = 1, figures = {}, seconds = 0/0 })",
    "train(); call('row', { row = {}, steps = 1 })", "train(); call('report', { steps = 1, pause = 0/0 })",
    "call('planned', { modules = {} })",
    "host.channel.send(('x'):rep(1 << 24))",
  } do
    it("ends a worker that sends " .. code, function() fails("sent what it should not", code .. "; return 'done'") end)
  end

  it("ends a worker that plans what nobody asked for", function()
    fails("planned more", "call('planned', { modules = {}, problem = { message = 'x' } })")
    for _, plan in ipairs {
      [[for _ = 1, 3 do call("planned", { modules = {}, problem = { message = "x" } }) end]],
      [[place { planning = true }
        call("planned", { modules = {}, result = { directory = "/etc", state = "finished", steps = 1, saved = 1 } })]],
      [[call("planned", { modules = { ["../../x.lua"] = "" }, problem = { message = "x" } })]],
    } do
      local output, status = attack(plan, {
        what = "plan", more = "combinations = { {}, {} }, planned = function() end",
      })
      assert.equal(1, status, output)
    end
  end)

  it("puts a bounded number of modules where a sweep's runs look, and nowhere else", function()
    local output, status = attack([[
      assert(call("publish", { place = "net/a.lua", text = "return 1" }) == "return 1")
      assert(call("publish", { place = "net/a.lua", text = "return 2" }) == "return 1")
      local count = 0
      for number = 1, 3000 do
        if not call("publish", { place = number .. ".lua", text = "" }) then break end
        count = count + 1
      end
      assert(count < 2000)
      return 3]], { options = 'text = "sweep/experiment.lua"', before = "mkdir sweep; cp x.lua sweep/experiment.lua" })
    assert.equal(1, status, output)
    helpers.has(output, "exit code 3")
    for _, place in ipairs { "../a.lua", "/tmp/a.lua", "a/../../b.lua", "a//b.lua", "", "a\0b.lua" } do
      fails(too_much, ("call('publish', { place = %q, text = '' })"):format(place), {
        options = 'text = "sweep/experiment.lua"',
      })
    end
  end)

  it("is not held up by a worker that is gone, or asks without end", function()
    local began = os.time()
    fails("--max-time", [[
      train()
      local report = require "sm.cli.calls".encode("report", { steps = 1, pause = 0, ended = { how = "x" } })
      while true do send(report) end]], { options = "max_time = 1" })
    fails("--max-time", [[
      call "screen"
      while true do call("say", { given = ("\1"):rep(1 << 17) }) end]], { options = "max_time = 1, quiet = true" })
    fails("--max-disk", [[train() while true do call("note", { given = ("x"):rep(1 << 17) }) end]],
      { options = "max_disk = 1 << 22", seconds = 20 })
    assert(os.time() - began < 30)
  end)

  local deaf <const> = " while true do pcall(function() while true do end end) end"
  local term <const> = "sleep 1; kill -TERM $!"
  it("ends a worker that does not stop after a signal, soon where it has trained nothing", function()
    local began = os.time()
    local output, status = attack([[call("graceful", { on = true }) call "asked" ]] .. deaf,
      { around = term, seconds = 30 })
    assert(os.time() - began <= 14, output)
    assert.equal(130, status, output)
    helpers.has(output, "killed, for what ran did not stop")
  end)

  it("does not begin anew after a signal", function()
    local output, status = attack([[pcall(os.execute, "sleep 3"); place(); place { name = "y" }]], { around = term })
    assert.equal(130, status, output)
    assert(not exists "runs")
  end)
end)
