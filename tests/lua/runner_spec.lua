--- How tests/run.lua counts, and that it runs what it is asked for.
local lfs = require "lfs"

local smrun = os.getenv "SMRUN" or "build/smrun"
local fake -- a build whose tests are scripts

local function write_script(name, text)
  local file <close> = assert(io.open(fake .. "/" .. name, "w"))
  file:write("#!/bin/sh\n", text)
  assert(os.execute(("chmod +x '%s/%s'"):format(fake, name)))
end

local function runner(options, pattern, jobs)
  local pipe = io.popen(("JOBS=%d SPECS='%s' lua5.4 tests/run.lua --c %s '%s' 2>&1"):format(jobs or 1, pattern or "",
    options, fake))
  local output = pipe:read "a"
  return output, pipe:close() == true
end

--- A program that prints as cmocka does: each test on stdout, the summary on stderr in the words of a version.
local function cmocka_script(group, tests, ending)
  local lines, summary = { ("[==========] %sRunning %d test(s)."):format(group, #tests) }, {}
  for _, test in ipairs(tests) do
    local name, mark = test:match "(%S+) (.*)"
    lines[#lines + 1] = "[ RUN      ] " .. name
    if mark ~= "" then lines[#lines + 1] = ("[%s] %s"):format(mark, name) end
    if mark:find "FAILED" then
      summary[#summary + 1] = ("[  FAILED  ] %s1 test(s), listed below:\n[  FAILED  ] %s\n"):format(group, name)
    end
  end
  return ("cat <<'END'\n%s\nEND\ncat >&2 <<'END'\n%s\nEND\n%s\n"):format(table.concat(lines, "\n"),
    table.concat(summary, "\n"), ending)
end

describe("tests/run.lua", function()
  before_each(function()
    fake = os.tmpname()
    os.remove(fake)
    assert(lfs.mkdir(fake) and lfs.mkdir(fake .. "/tests"))
    write_script("smrun", ("exec '%s' \"$@\"\n"):format(smrun))
  end)
  after_each(function() os.execute(("rm -r '%s'"):format(fake)) end)

  for version, group in pairs { ["cmocka 1.1.7"] = "", ["Debian 13's cmocka"] = "multiplying: " } do
    it("counts what " .. version .. " prints", function()
      local tests = { "one        OK ", "two   FAILED  ", "three   SKIPPED ", "four        OK " }
      write_script("tests/test_some", cmocka_script(group, tests, "exit 1"))
      local output, success = runner ""
      assert.is_false(success)
      assert.matches("test_some +2 passed +1 failed", output)
      assert.matches("skipped: three\n", output)
      assert.matches("\n2 passed, 1 failed\n$", output)
    end)
  end

  it("counts a program that ends within a test, before any, or badly after all", function()
    write_script("tests/test_a", cmocka_script("", { "one        OK ", "two " }, "kill -SEGV $$"))
    write_script("tests/test_b", "exit 0\n")
    write_script("tests/test_c", cmocka_script("", { "one        OK " }, "exit 3"))
    assert.matches("test_a +1 passed +1 failed.*test_b +0 passed +1 failed.*test_c +1 passed +1 failed",
      (runner ""))
  end)

  it("runs as many at once as JOBS says, and reports each as it ends", function()
    local one_test <const> = cmocka_script("", { "one        OK " }, "exit 0")
    local waits <const> = "i=0; while [ ! -e '%s/b' ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done; sleep 1\n"
    write_script("tests/test_a", waits:format(fake) .. one_test)
    write_script("tests/test_b", ("touch '%s/b'\n"):format(fake) .. one_test)
    write_script("tests/test_c", one_test)
    local output, success = runner("", "", 2)
    assert.is_true(success)
    assert.matches("test_b .*\n3 passed, 0 failed\n$", output)
    assert(output:find("test_b", 1, true) < output:find("test_a", 1, true), output)
  end)

  it("stops where another level or other kernels run than it is asked for", function()
    write_script("tests/test_a", cmocka_script("", { "one        OK " }, "exit 0"))
    local output, success = runner "--level=x86-64-v9"
    assert.is_false(success)
    assert.matches("asked for the level x86%-64%-v9, but %S+ runs\n$", output)
    output, success = runner "--kernel=Unknown"
    assert.is_false(success)
    assert.matches("does not run:\n.*OPENBLAS_CORETYPE: this OpenBLAS has no kernels \"Unknown\"", output)
    write_script("smrun", ("unset OPENBLAS_CORETYPE; exec '%s' \"$@\"\n"):format(smrun))
    output, success = runner "--kernel=Unknown"
    assert.is_false(success)
    assert.matches("asked for OpenBLAS's Unknown kernels, but %S+ run\n$", output)
  end)

  it("runs the level that it is asked for", function()
    if not io.popen("uname -m"):read "a":find "x86_64" then return pending "this is no x86-64" end
    if not lfs.attributes(smrun:match "^(.*)/" .. "/lib/glibc-hwcaps") then return pending "one level was built" end
    write_script("tests/test_a", cmocka_script("", { "one        OK " }, "exit 0"))
    local output, success = runner "--level=base"
    assert.is_true(success)
    assert.matches("^== %S+: base, OpenBLAS's %S+ kernels\n.*\n1 passed, 0 failed\n$", output)
  end)

  it("stops where a pattern picks no spec", function()
    write_script("tests/test_some", cmocka_script("", { "one        OK " }, "exit 0"))
    local output, success = runner("", "no_such")
    assert.is_false(success)
    assert.equal('SPECS="no_such" picks none of tests/lua/*_spec.lua\n', output)
  end)
end)
