--- Sweeps for other programs: --plan, --slurm with a Slurm that is played, --compare, and results while they arrive.
-- tests/cluster has a real Slurm.
local lfs = require "lfs"
local helpers = dofile "tests/lua/helpers.lua"
local tiny = dofile "tests/lua/tiny_experiment.lua"
local has, quote, read, write = helpers.has, helpers.quote, helpers.read, helpers.write

describe("a sweep for other programs", function()
  local workspace

  before_each(function() workspace = tiny.workspace() end)
  after_each(function() tiny.remove(workspace) end)

  local function shell(command) return helpers.shell(workspace, command) end

  --- Output, errors; the exit status must be this one.
  local function smrun(arguments, status, environment)
    local code, out, err = shell(("%s $SMRUN %s"):format(environment or "", arguments))
    assert.equal(status or 0, code, out .. err)
    return out, err
  end

  --- @return table the lines of standard output
  --- @return string standard error
  local function planned(arguments)
    local out, err = smrun(arguments .. " --plan")
    local lines = {}
    for line in out:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    return lines, err
  end

  --- What is the same in equal runs: all numbers of the model and the optimizer, and all figures.
  local function bits(directory, steps)
    local text = read(("%s/checkpoints/step-%06d.safetensors"):format(directory, steps))
    return text:sub(9 + ("<I8"):unpack(text)) .. tiny.metrics(directory)
  end

  local function plans()
    local found = {}
    for _, name in ipairs(lfs.attributes(workspace .. "/runs") and tiny.list(workspace .. "/runs") or {}) do
      if name:find "^%.plan%-" then found[#found + 1] = name end
    end
    return found
  end

  it("is a command for each run, which gives the same bits from anywhere", function()
    local lines, err = planned "tiny.lua seed=1..2 lr=0.1,0.2"
    assert.equal(4, #lines)
    has(err, "smrun: tiny.lua: 4 runs, 4 to do; they use the texts in runs/.plan-")
    assert.same({}, select(2, planned "tiny.lua seed=1..2 lr=0.1,0.2 --quiet") == "" and {} or { "words" })
    for _, line in ipairs(lines) do
      local code, out, errors = helpers.shell("/", "cd /tmp; env -i PATH=/usr/bin:/bin sh -c " .. quote(line))
      assert.equal(0, code, errors)
      assert.equal("", errors)
      assert.matches("^test accuracy [^\n]*\n$", out)
    end
    local alone = tiny.workspace()
    for name, given in pairs { ["lr=0.1"] = { lr = "0.1" }, ["lr=0.2,seed=2"] = { lr = "0.2", seed = "2" } } do
      tiny.run(alone, given, { quiet = true })
      assert.equal(bits(alone .. "/runs/tiny/" .. name, 12), bits(workspace .. "/runs/tiny/" .. name, 12))
    end
    tiny.remove(alone)
    has(select(2, shell(lines[1])), "\ndone before: runs/tiny/lr=0.1 (")
    assert.equal("tiny.lua: 4 done before\n", (smrun "tiny.lua seed=1..2 lr=0.1,0.2 --quiet"))
    assert.equal(1, #planned "tiny.lua")
  end)

  it("goes on with what was interrupted", function()
    local line = planned "tiny.lua seed=1..2"[2]
    local words = line:match "smrun'? (.*)$"
    local out, code = tiny.stopped { workspace = workspace, at = "loss 7", signal = "TERM", arguments = words }
    assert.equal(130, code, out)
    local step = read(workspace .. "/runs/tiny/seed=2/log.txt"):match "interrupted after step (%d+) of 12; saved"
    assert.equal(0, (shell(line)))
    has(read(workspace .. "/runs/tiny/seed=2/log.txt"), "goes on after step " .. step)
    local alone = tiny.workspace()
    tiny.run(alone, { seed = "2" }, { quiet = true })
    assert.equal(bits(alone .. "/runs/tiny/seed=2", 12), bits(workspace .. "/runs/tiny/seed=2", 12))
    tiny.remove(alone)
  end)

  it("keeps the texts that it was planned with", function()
    local text = "local own = require 'own'\n" .. tiny.text:gsub("steps = 12", "steps = own")
    write(workspace .. "/own.lua", "return 3\n")
    write(workspace .. "/tiny.lua", text)
    local first = planned "tiny.lua seed=1..2"
    assert.same(first, planned "tiny.lua seed=1..2")
    assert.equal(1, #plans())
    write(workspace .. "/own.lua", "return 4\n")
    local second = planned "tiny.lua seed=1..2"
    assert.equal(2, #plans())
    os.remove(workspace .. "/own.lua")
    write(workspace .. "/tiny.lua", "error 'edited'\n")
    assert.equal(0, (shell(first[2])))
    assert.equal(0, (shell(second[2])))
    assert.equal(text, read(workspace .. "/runs/tiny/seed=2/experiment.lua"))
    assert.equal("return 3\n", read(workspace .. "/runs/tiny/seed=2/modules/own.lua"))
    assert.equal("return 4\n", read(workspace .. "/runs/tiny/seed=2-2/modules/own.lua"))
    os.execute("rm -r " .. quote(workspace) .. "/runs/.plan-*")
    local code, _, err = shell(first[1])
    assert.equal(1, code)
    assert.matches("cannot open runs/%.plan%-%x+/experiment%.lua: No such file", err)
  end)

  it("takes no directory that is not as it would write it", function()
    local function plan() return planned "tiny.lua seed=1..2 --quiet"[1]:match "runs/(%.plan%-[%x-]+)/" end
    local first = plan()
    local path = workspace .. "/runs/" .. first
    assert.equal(first, plan())
    os.rename(path, workspace .. "/runs/elsewhere")
    assert(lfs.link("elsewhere", path, true))
    assert.equal(first .. "-2", plan())
    assert(lfs.link("/etc", path .. "-2/modules", true))
    assert.equal(first .. "-3", plan())
    write(path .. "-3/experiment.lua", "return 1\n")
    assert.equal(first .. "-4", plan())
    assert.equal(first .. "-4", plan())
  end)

  it("has texts of its own where a run has loaded a module later", function()
    write(workspace .. "/late.lua", "return 1\n")
    write(workspace .. "/tiny.lua", (tiny.text:gsub("may_stop \"loss\"", "%0; require 'late'")))
    local first = planned "tiny.lua seed=1..2"
    assert.equal(0, (shell(first[1])))
    write(workspace .. "/late.lua", "return 2\n")
    local second = planned "tiny.lua seed=1..2"
    assert.equal(2, #plans())
    assert.equal(0, (shell(first[2])))
    assert.equal(0, (shell(second[2])))
    assert.equal("return 1\n", read(workspace .. "/runs/tiny/seed=2/modules/late.lua"))
    assert.equal("return 2\n", read(workspace .. "/runs/tiny/seed=2-2/modules/late.lua"))
  end)

  it("is quoted as sh, make and xargs read it", function()
    write(workspace .. "/it's.lua", (tiny.text:gsub("steps = 12", "note = 'a', steps = 1")))
    local values = { [[a b]], [[it's "so"; $HOME `x`]], [[c\d]], "ä*" }
    local words = {}
    for i, value in ipairs(values) do words[i] = value:gsub("\\", "\\\\") end
    local list = planned([["it's.lua" note=]] .. quote(table.concat(words, ",")) .. " --runs 'my runs'")
    assert.equal(4, #list)
    local function notes(runs)
      local found = {}
      for _, name in ipairs(tiny.list(workspace .. "/" .. runs)) do
        local params = read(("%s/%s/%s/params.json"):format(workspace, runs, name))
        found[#found + 1] = require "sm.json".decode(params).values.note
      end
      table.sort(found)
      return found
    end
    local expected = table.move(values, 1, 4, 1, {})
    table.sort(expected)
    write(workspace .. "/list", table.concat(list, "\n") .. "\n")
    local rules = { "all: 1 2 3 4\n" }
    for i, line in ipairs(list) do rules[#rules + 1] = ("%d:\n\t%s\n"):format(i, (line:gsub("%$", "$$"))) end
    write(workspace .. "/rules", table.concat(rules))
    for _, command in ipairs { "sh list", "make -j2 -f rules", "xargs -d '\\n' -P2 -I{} sh -c {} <list" } do
      local code, _, err = shell(command)
      assert.equal(0, code, command .. err)
      assert.same(expected, notes "my runs/it's")
      os.execute(("rm -r %s/'my runs'/it*"):format(quote(workspace)))
    end
  end)

  it("gives each run its share of the machine where it is told how many run at once", function()
    assert.is_nil(planned "tiny.lua seed=1..4"[1]:find "%-%-threads")
    has(planned "tiny.lua seed=1..4 --threads 3"[4], " --threads=3 ")
    has(planned "tiny.lua seed=1..4 --threads 8 --jobs 2"[4], " --threads=4 --max-memory=")
    has(planned "tiny.lua seed=1..4 --jobs 2 --max-time 1h --read . --data ."[1], " --data=. --read=. --max-memory=")
    has(planned "tiny.lua seed=1 --trust"[1], " --trust seed=1")
    has(smrun("tiny.lua seed=1..2 --plan", 0, "SMRUN_CONV=direct SM_DATA=/a"),
      " SM_DATA=/a SMRUN_CONV=direct " .. helpers.shown_smrun())
  end)

  it("writes nothing where it is asked not to, or where a run cannot be", function()
    local dry = planned "tiny.lua seed=1..2 --dry-run"
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
    assert.same(dry, planned "tiny.lua seed=1..2")
    os.execute("rm -r " .. quote(workspace) .. "/runs")
    write(workspace .. "/tiny.lua", (tiny.text:gsub("sm.seed%(5%)", "assert(p.seed ~= 2, 'two')")))
    local out, err = smrun("tiny.lua seed=1..3 --plan", 1)
    assert.equal("", out)
    has(err, "smrun: seed=2: ")
    has(err, "smrun: tiny.lua: 1 of 3 runs cannot be run, so none is planned")
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("is refused with a reason", function()
    local function refused(arguments, reason)
      local out, err = smrun(arguments, 2)
      assert.equal("", out)
      has(err, "smrun: " .. reason)
    end
    write(workspace .. "/script.lua", "local p = require 'sm'.params { x = 1 }\nreturn nil\n")
    refused("script.lua --plan", "script.lua is a plain script; a sweep needs a file that returns an experiment")
    refused("tiny.lua seed=1,2 --plan --again", "option '--again' does not go with '--plan': its commands would not go")
    refused("tiny.lua seed=1,2 --slurm '' --again", "option '--again' does not go with '--slurm': an element would not")
    refused("tiny.lua seed=1,2 --plan --slurm ''", "option '--slurm' does not go with '--plan'")
    refused("tiny.lua seed=1,2 --compare --jobs 2", "option '--jobs' does not go with '--compare'")
    refused("tiny.lua --runs 'a\nb' --plan", "a command is one line, and '--runs=a\\nb' has a line break")
    refused("tiny.lua --slurm '-a 1-3'", "option '--slurm': '-a' is what smrun gives sbatch itself; --jobs N says")
    refused("tiny.lua --slurm '-o x'", "option '--slurm': '-o' is what smrun gives sbatch itself")
    refused("tiny.lua --slurm \"--comment='x\"", "option '--slurm': the quote ' is not closed in '--comment='x'")
    refused("resume runs --plan", "option '--plan' does not go with 'resume'")
    assert.is_nil(lfs.attributes(workspace .. "/runs"))
  end)

  it("is read while its results arrive", function()
    smrun "tiny.lua seed=1..2 --quiet"
    local during = ([[
      $SMRUN tiny.lua seed=1..4 --compare >compared; echo $? >>compared
      $SMRUN compare runs/tiny >again; echo $? >>again
      $SMRUN report runs/tiny >reported; echo $? >>reported
    ]])
    write(workspace .. "/stop", "loss 7")
    assert.equal(0, (shell("mkfifo here; $SMRUN tiny.lua seed=3 >/dev/null & exec 3>here; " .. during
      .. "exec 3>&-; wait")))
    os.remove(workspace .. "/stop")
    local compared = read(workspace .. "/compared")
    has(compared, "Mean ± standard deviation over seeds")
    has(compared, "\nMissing:\n  seed=3   resume after step 5   runs/tiny/seed=3\n  seed=4   new")
    has(compared, "\ntiny.lua: 2 of 4 runs finished\n1\n")
    has(read(workspace .. "/again"), "\nLeft out\n  runs/tiny/seed=3   unfinished, saved after step 5\n0\n")
    has(read(workspace .. "/reported"), "runs/tiny/report.html")
    smrun "tiny.lua seed=4 --quiet"
    local out = smrun "tiny.lua seed=1..4 --compare"
    assert.is_nil(out:find "Missing")
    has(out, "\ntiny.lua: 4 of 4 runs finished\n")
  end)

  describe("through Slurm", function()
    --- Plays sbatch and scancel: each call becomes a line of `calls`; the call whose number is in `refuse` fails.
    local function play()
      assert(lfs.mkdir(workspace .. "/bin"))
      write(workspace .. "/bin/sbatch", [[#!/bin/sh
        here=${0%/bin/*}
        echo "sbatch $*" >>"$here/calls"
        echo "$OMP_NUM_THREADS" >>"$here/threads"
        number=$(wc -l <"$here/calls")
        if [ "$number" = "$(cat "$here/refuse" 2>/dev/null)" ]; then echo "sbatch: error: no" >&2; exit 1; fi
        echo "$((number + 40));far"
      ]])
      write(workspace .. "/bin/scancel", '#!/bin/sh\necho "scancel $*" >>"${0%/bin/*}/calls"\n')
      os.execute("chmod +x " .. quote(workspace) .. "/bin/*")
    end
    local with_both <const> = 'PATH="$PWD/bin:$PATH"'

    it("submits one array of what is missing, and what compares it", function()
      play()
      smrun "tiny.lua seed=2 --quiet"
      local path = "env -u OMP_NUM_THREADS " .. with_both
      local out = smrun("tiny.lua seed=1..5 --jobs 2 --slurm '--time=5 --comment=\"a b\"'", 0, path)
      local first, second, rest = read(workspace .. "/calls"):match "^([^\n]*)\n([^\n]*)\n(.*)$"
      local place = workspace .. "/runs/" .. plans()[1] .. "/slurm-1"
      assert.equal(("sbatch --parsable --job-name=tiny --open-mode=append --requeue --output=%s/%%a.log --time=5 "
        .. "--comment=a b --array=1,3-5%%2 %s/element.sh"):format(place, place), first)
      assert.equal(("sbatch --parsable --job-name=tiny-compare --open-mode=append --time=5 --comment=a b "
        .. "--output=%s/compare.log --dependency=afterany:41 %s/compare.sh"):format(place, place), second)
      assert.equal("", rest)
      has(out, "tiny.lua: 5 runs, 4 to do: job array 41, and job 42 compares them at the end\n")
      has(out, "\n  scancel 41\n")
      for _, number in ipairs { 1, 3, 4 } do
        assert.equal(0, (shell(("SLURM_ARRAY_TASK_ID=%d sh %s/element.sh >element"):format(number, place))))
        assert.matches("^env %-C [^\n]* seed=" .. number .. "\ntest accuracy", read(workspace .. "/element"))
      end
      local code, compared = shell(("sh %s/compare.sh"):format(place))
      assert.equal(1, code)
      has(compared, "\nMissing:\n  seed=5   new   runs/tiny/seed=5\ntiny.lua: 4 of 5 runs finished\n")
      assert.equal(0, (shell(("SLURM_ARRAY_TASK_ID=5 sh %s/element.sh"):format(place))))
      assert.equal(0, (shell(("sh %s/compare.sh"):format(place))))
      assert.equal("\n\n", read(workspace .. "/threads"))
      smrun("tiny.lua seed=6 --slurm ''", 0, "env OMP_NUM_THREADS=3 " .. with_both)
      assert.equal("\n\n3\n3\n", read(workspace .. "/threads"))
      assert.equal("tiny.lua: all 5 runs are done before\n", (smrun("tiny.lua seed=1..5 --slurm ''", 0, path)))
    end)

    it("leaves nothing where sbatch is missing or refuses", function()
      local code, _, err = shell "PATH=/nowhere $SMRUN tiny.lua seed=1..2 --slurm ''"
      assert.equal(1, code)
      has(err, "smrun: there is no sbatch in PATH")
      assert.same({}, plans())
      play()
      write(workspace .. "/refuse", "1")
      has(select(2, smrun("tiny.lua seed=1..2 --slurm '--time=5'", 1, with_both)),
        "sbatch: error: no\nsmrun: sbatch has not taken the job array; nothing was submitted\n")
      assert.same({}, plans())
      write(workspace .. "/refuse", "3")
      has(select(2, smrun("tiny.lua seed=1..2 --slurm '--time=5'", 1, with_both)),
        "sbatch: error: no\nsmrun: sbatch has not taken the job that compares; the array 42 is cancelled\n")
      has(read(workspace .. "/calls"), "\nscancel 42 --clusters=far\n")
      assert.same({}, plans())
    end)

    it("shows what it would submit", function()
      local out = smrun "tiny.lua seed=1..2 --slurm --time=5 --dry-run"
      has(out, " seed=2\nsbatch --parsable --job-name=tiny ")
      has(out, " --dependency=afterany:JOB compare.sh\n")
      assert.is_nil(lfs.attributes(workspace .. "/runs"))
    end)
  end)
end)
