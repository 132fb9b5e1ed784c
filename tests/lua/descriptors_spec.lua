--- What the program does where its surroundings are not as usual: closed descriptors, files that are no files, a full
--- disk, a locale whose numbers have commas, no /proc.
local lfs = require "lfs"
local tiny = require "tests.lua.tiny_experiment"
local helpers = dofile "tests/lua/helpers.lua"
local smrun = helpers.smrun

local workspace

--- What can load the library: a build with sanitizers only its own program, unless theirs are preloaded.
local sanitized <const> = (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) ~= nil
local programs <const> = sanitized and { '"$SMRUN" --trust' } or { "lua5.4", '"$SMRUN" --trust' }

local function path(name)
  return workspace .. "/" .. name
end

--- Runs a bash command with the workspace as $W and the program as $SMRUN; its output, errors too, and its status.
local function bash(command)
  tiny.write(path "command.sh", command)
  local pipe = io.popen(("env -u LD_PRELOAD W='%s' SMRUN='%s' timeout 60 bash '%s' 2>&1"):format(workspace, smrun,
    path "command.sh"))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

local function has_program(name)
  return os.execute("command -v " .. name .. " >/dev/null 2>&1")
end

--- Two runs of the same experiment to compare, unless they are there already.
local function two_runs()
  if lfs.attributes(path "two") then return end
  for seed = 1, 2 do tiny.write_run(workspace, "two/run-" .. seed, seed, { accuracy = 0.9 + seed / 100 }) end
end

describe("the surroundings", function()
  setup(function() workspace = tiny.workspace() end)
  teardown(function() tiny.remove(workspace) end)

  describe("with closed descriptors", function()
    for _, closed in ipairs { "<&- >&-", "<&- >&- 2>&-", ">&-", "2>&-", "<&-" } do
      it("a run is the same as ever: " .. closed, function()
        bash '"$SMRUN" "$W/tiny.lua" --runs "$W/open"'
        local _, status = bash(('"$SMRUN" "$W/tiny.lua" --runs "$W/closed" %s'):format(closed))
        assert.equal(0, status)
        assert.equal(tiny.metrics(path "open/tiny/default"), tiny.metrics(path "closed/tiny/default"))
        assert.same(tiny.list(path "open/tiny/default"), tiny.list(path "closed/tiny/default"))
        tiny.remove(path "closed")
      end)
    end

    it("no file gets what is printed, under plain Lua either", function()
      tiny.write(path "files.lua", [[
        require "sm"
        local files = {}
        for i = 1, 4 do files[i] = assert(io.open(os.getenv "W" .. "/file" .. i, "w")) end
        print "screen"
        io.stderr:write "errors"
        assert(io.read "l" == nil)
        for i = 1, 4 do files[i]:write(i) end
      ]])
      for _, program in ipairs(programs) do
        local _, status = bash(program .. ' "$W/files.lua" <&- >&- 2>&-')
        assert.equal(0, status)
        for i = 1, 4 do assert.equal(tostring(i), tiny.read(path("file" .. i))) end
      end
      tiny.write(path "files.lua", [[
        local files = {}
        for i = 1, 4 do files[i] = assert(io.open("file" .. i, "w")) end
        print "screen"
        io.stderr:write "errors"
        for i = 1, 4 do files[i]:write(i) end
      ]])
      local _, status = bash '"$SMRUN" "$W/files.lua" --runs "$W/confined" <&- >&- 2>&-'
      assert.equal(0, status)
      for i = 1, 4 do assert.equal(tostring(i), tiny.read(path("confined/files/file" .. i))) end
    end)
  end)

  it("a result that cannot be printed is a failure", function()
    two_runs()
    for _, arguments in ipairs { "-e 'print(1)'", "--help", "--version", 'compare "$W/two"',
                                 '"$W/tiny.lua" --runs "$W/full"' } do
      local output, status = bash(('"$SMRUN" %s >/dev/full'):format(arguments))
      assert.equal(1, status, arguments)
      assert.matches("standard output could not be written", output)
    end
    local _, status = bash [["$SMRUN" -e 'error "x"' 2>/dev/full]]
    assert.equal(1, status)
    _, status = bash [["$SMRUN" -e 'for i = 1, 1e5 do print(i) end' | head -1; exit ${PIPESTATUS[0]}]]
    assert.equal(130, status)
  end)

  it("a run whose reader has gone goes on, and so does a sweep", function()
    for words, runs in pairs { default = { "default" }, ["lr=0.1,0.2"] = { "lr=0.1", "lr=0.2" } } do
      local output, status = bash(([["$SMRUN" "$W/tiny.lua" --runs "$W/unread" %s | sleep 0; exit ${PIPESTATUS[0]}]])
        :format(words ~= "default" and words or ""))
      assert.same({ "", 0 }, { output, status })
      for _, run in ipairs(runs) do tiny.read(path("unread/tiny/" .. run .. "/summary.json")) end
    end
  end)

  describe("where a file is asked for", function()
    local expected

    before_each(function()
      two_runs()
      bash '"$SMRUN" compare "$W/two" --csv "$W/plain.csv"'
      expected = tiny.read(path "plain.csv")
      assert.matches("\ntwo,2,", expected)
    end)

    it("a pipe is written to", function()
      local output = bash [[mkfifo "$W/pipe"; cat "$W/pipe" & "$SMRUN" compare "$W/two" --csv "$W/pipe" >/dev/null; wait
        test -p "$W/pipe" && echo still a pipe]]
      assert.equal(expected .. "still a pipe\n", output)
      output = bash [["$SMRUN" compare "$W/two" --csv >(cat >&2) >/dev/null; wait $!]]
      assert.equal(expected, output)
    end)

    it("an open descriptor is written to, where it stands", function()
      local output = bash [["$SMRUN" compare "$W/two" --csv /dev/fd/3 3>&1 >/dev/null]]
      assert.equal(expected, output)
      bash [[{ echo before; "$SMRUN" compare "$W/two" --csv /dev/stdout; echo after; } > "$W/all"]]
      local all = tiny.read(path "all")
      assert.equal("before\n", all:sub(1, 7))
      assert.equal("after\n", all:sub(-6))
      assert.is_truthy(all:find(expected, 1, true))
      assert.is_true(#all > #expected + #"before\nafter\n") -- the tables
      bash [["$SMRUN" report "$W/two" --out /dev/fd/3 3>"$W/page" >/dev/null]]
      assert.matches("^<!DOCTYPE html>", tiny.read(path "page"))
    end)

    it("a device is written to, and stays", function()
      local _, status = bash [["$SMRUN" compare "$W/two" --csv /dev/null]]
      assert.equal(0, status)
      assert.equal("char device", lfs.attributes("/dev/null", "mode"))
      local output
      output, status = bash [["$SMRUN" compare "$W/two" --csv /dev/full]]
      assert.equal(1, status)
      assert.matches("/dev/full: cannot write: No space left on device", output)
    end)

    it("a link stays, and so does the mode", function()
      tiny.write(path "target.csv", "old")
      bash [[chmod 640 "$W/target.csv"; ln -s target.csv "$W/link.csv"
        "$SMRUN" compare "$W/two" --csv "$W/link.csv"]]
      assert.equal("link", lfs.symlinkattributes(path "link.csv", "mode"))
      assert.equal(expected, tiny.read(path "target.csv"))
      assert.equal("rw-r-----", lfs.attributes(path "target.csv", "permissions"))
    end)

    it("a directory is refused", function()
      local output, status = bash [["$SMRUN" compare "$W/two" --csv "$W/two"]]
      assert.equal(1, status)
      assert.matches("two: expected the name of a file to write, got a directory", output)
    end)
  end)

  it("processes that write one file leave one of theirs, and nothing else", function()
    tiny.write(path "writer.lua", [[local runtime, n = require "sm.runtime", tonumber(os.getenv "N")
      for i = 1, 400 do runtime.io.write_durably(os.getenv "BOTH" .. "/x", tostring(n):rep(n * 1000)) end]])
    local output = bash([[export BOTH=$(mktemp -d -p "$(test -d /dev/shm && echo /dev/shm || echo "$W")")
      for n in 1 2 3 4; do N=$n ]] .. programs[1] .. [[ "$W/writer.lua" & done; wait
      ls -A "$BOTH"; cat "$BOTH/x"; rm -r "$BOTH"]])
    local digit = output:match "^x\n(%d)"
    assert.equal("x\n" .. digit:rep(digit * 1000), output)
  end)

  describe("under a locale with a decimal comma", function()
    local locale = "LOCPATH=\"$W/locales\" LC_ALL=de_DE.UTF-8 "

    setup(function()
      if not has_program "localedef" then return end
      bash 'mkdir "$W/locales"; localedef -i de_DE -f UTF-8 "$W/locales/de_DE.UTF-8"'
    end)

    local function skips()
      local output = bash(locale .. [[lua5.4 -e 'print(os.setlocale "", 1.5)']])
      if output ~= "de_DE.UTF-8\t1,5\n" then return "localedef cannot make de_DE.UTF-8 here" end
    end

    it("an experiment that asks for it leaves a run that can be read", function()
      if skips() then return pending(skips()) end
      tiny.write(path "comma.lua", 'require "sm"\nassert(os.setlocale "")\n' .. tiny.text)
      bash '"$SMRUN" "$W/tiny.lua" --runs "$W/point"'
      for i, line in ipairs { '"$SMRUN" --trust "$W/comma.lua" --runs "$W/comma" steps=6',
                              '"$SMRUN" --trust "$W/comma.lua" --runs "$W/comma" --again',
                              '"$SMRUN" "$W/tiny.lua" --runs "$W/confined"' } do
        local output, status = bash(locale .. line)
        assert.equal(0, status, output)
        assert.is_nil(output:find "%d,%d%d%d%d", i)
      end
      assert.equal(tiny.metrics(path "point/tiny/default"), tiny.metrics(path "comma/comma/default"))
      assert.equal(tiny.metrics(path "point/tiny/default"), tiny.metrics(path "confined/tiny/default"))
      local output, status = bash(locale .. '"$SMRUN" eval --trust "$W/comma/comma/default"')
      assert.equal(0, status, output)
    end)

    it("numbers keep their point, and os.setlocale says so", function()
      if skips() then return pending(skips()) end
      local code = [[local before = os.setlocale(nil, "numeric")
        require "sm"
        local all = os.setlocale ""
        print(before, 1.5, all:find("LC_CTYPE=de_DE", 1, true) ~= nil, all:find("LC_NUMERIC=C", 1, true) ~= nil)
        local numeric = { os.setlocale("de_DE.UTF-8", "numeric") or false, os.setlocale("", "numeric") }
        print(numeric[1], numeric[2], os.setlocale("C", "numeric"), 1.5)
        print(os.setlocale("xx_XX"), os.setlocale(nil, "time"), ("%.2f"):format(0.25), tonumber "2.5")
        print(pcall(os.setlocale, "C", "money"))]]
      tiny.write(path "locale.lua", code)
      local expected = "C\t1.5\ttrue\ttrue\nfalse\tC\tC\t1.5\nnil\tde_DE.UTF-8\t0.25\t2.5\nfalse\t"
      for _, program in ipairs(programs) do
        local output = bash(locale .. program .. ' "$W/locale.lua"')
        assert.equal(expected, output:sub(1, #expected))
        assert.matches("invalid option 'money'", output)
      end
      tiny.write(path "late.lua", [[os.setlocale "" require "sm" print(1.5, require("cjson").encode { 0.5 })]])
      if not sanitized then assert.equal("1.5\t[0.5]\n", bash(locale .. 'lua5.4 "$W/late.lua"')) end
    end)
  end)

  it("the library is found in a directory with ; and ? in its name", function()
    local build = smrun:match "^(.*)/[^/]*$"
    local output, status = bash(([[set -e; P="$W/a;b?c (%%d) d"; mkdir -p "$P/bin" "$P/share/smrun" "$P/lib"
      cp '%s' "$P/bin/smrun"; cp -r '%s/lib' "$P/lib/smrun"; cp -r lua "$P/share/smrun/lua"
      cd "$W"; "$P/bin/smrun" "$W/tiny.lua" steps=2 --runs "$W/strange" --quiet
      echo 'error("from lfs of the working directory")' > lfs.lua
      "$P/bin/smrun" -e 'print(require([=[sm]=]).ones(2):sum():item())'; rm lfs.lua
      "$P/bin/smrun" -e 'require [=[sm.none]=]']]):format(smrun, build))
    assert.equal(1, status)
    assert.matches("%f[%d]2%.?0?\n", output)
    assert.matches("module 'sm.none' not found", output)
    assert.is_truthy(lfs.attributes(path "strange/tiny"))
  end)

  it("the program finds itself without /proc", function()
    if sanitized then return pending "the sanitizers need /proc" end
    local output, status = bash 'unshare -m sh -c "mount -t tmpfs none /proc && ls -A /proc"'
    if output ~= "" or status ~= 0 then return pending "no name space of mounts can be made here" end
    local directory, name = smrun:match "^(.*)/([^/]*)$"
    tiny.write(path "x.lua", "")
    for _, program in ipairs { smrun, "./" .. name, name } do
      output, status = bash(([[cd '%s'; PATH=".:$PATH" unshare -m sh -c \
        "mount -t tmpfs none /proc && %s -e 'print(require [=[sm]=].ones(2):sum():item())'"]]):format(
        directory, program))
      assert.equal(0, status, output)
      assert.equal(2, tonumber(output))
    end
    local without = "unshare -m sh -c \"mount -t tmpfs none /proc && '$SMRUN' %s\""
    output, status = bash(without:format "--trust '$W/tiny.lua' steps=4,5 --runs '$W/sweep'")
    assert.equal(0, status, output)
    output, status = bash(without:format "'$W/tiny.lua' steps=4 --runs '$W/none'")
    assert.equal(1, status, output)
    assert.matches("^smrun: this system cannot confine an experiment: [^\n]*/proc/[^\n]*; `[^\n]*smrun %-%-trust` "
      .. "runs it without confinement\n$", output)
    assert.is_nil(lfs.attributes(path "none"))
    two_runs()
    output = bash(without:format "compare '$W/two' --csv /dev/fd/1")
    assert.matches("\ntwo,2,", output)
  end)
end)
