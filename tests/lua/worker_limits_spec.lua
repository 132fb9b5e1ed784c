--- What a worker cannot do to its supervisor, and what the supervisor does to it: what it sends, its limits, signals.
local helpers = dofile "tests/lua/worker_helpers.lua"

local workspace

--- What a supervisor prints.
local function supervised(code)
  return (helpers.supervise(workspace, code))
end

--- What a bash command prints, after files are written that hold the supervisor's code and so on.
local function bash(command)
  return (helpers.bash(workspace, command))
end

--- The supervisor's code into a file that bash commands find.
local function code(text)
  helpers.write(workspace .. "/code.lua", text)
end

describe("a worker", function()
  setup(function() workspace = helpers.workspace() end)
  teardown(function() os.execute("rm -rf '" .. workspace .. "'") end)

  describe("that sends what is no frame", function()
    --- How one ends that runs a shell command with the socket as descriptor 3, and then some Lua.
    local function raw(command, after)
      return supervised(([=[
        local begin = os.time()
        local came, order, last = collect(host.worker { "-e", [[local _ = os.execute %q %s]] })
        io.write(order, "|", came.message, "|")
        tell(last)
        assert(os.time() - begin < 10)
      ]=]):format(command, after or ""))
    end

    it("is killed: an unknown kind, a length beyond what is allowed", function()
      for _, bytes in ipairs { "x", [[\0]], [[M\1\0\0\0a]], [[m\1\0\0\1]], [[m\377\377\377\377]] } do
        assert.equal("||broken\t9\tbroken\n", raw("printf '" .. bytes .. "' >&3; sleep 20"))
      end
    end)

    it("is killed after what it sent before was given out", function()
      assert.equal("message|ab|broken\t9\tbroken\n",
        raw([[printf 'm\1\0\0\0am\1\0\0\0b?m\1\0\0\0c' >&3; sleep 20]]))
    end)

    it("is broken where it goes after half a frame, unless a signal took it", function()
      assert.equal("message|a|broken\t0\tbroken\n", raw [[printf 'm\1\0\0\0am\2\0\0\0b' >&3]])
      assert.equal("||broken\t0\tbroken\n", raw [[printf 'm' >&3]])
      assert.equal("||signal\t9\tnil\n", raw [[printf 'm\2\0\0\0b' >&3; kill -9 $PPID]])
    end)

    it("is broken where it closes the socket and lives on", function()
      local close = [[python3 -c 'import socket; socket.socket(fileno=3).shutdown(socket.SHUT_RDWR)']]
      assert.equal("||broken\t9\tbroken\n", raw(close .. "; sleep 20"))
      assert.equal("||exit\t4\tnil\n", raw(close, "os.exit(4)"))
    end)
  end)

  describe("that floods", function()
    --- Whether a supervisor's memory stays as it is while a worker sends all that it can.
    local function kept_small(work)
      assert.equal("true\nsignal\t9\tnil\n", supervised(([=[
        local function memory() return tonumber(io.open "/proc/self/status":read "a":match "VmRSS:%%s*(%%d+)") end
        local worker = start(%q)
        for _ = 1, 10 do worker:next() end
        collectgarbage() collectgarbage()
        local before = memory()
        host.sleep(0.5)
        for _ = 1, 2000 do worker:next() end
        collectgarbage() collectgarbage()
        print(memory() - before < 8192)
        worker:kill()
        tell(select(3, collect(worker)))
      ]=]):format(work)))
    end

    it("waits", function()
      kept_small "local text = ('x'):rep(50000) while true do print(text) end"
      kept_small "local channel = ... local text = ('x'):rep(50000) while true do channel.send(text) end"
      kept_small "os.execute 'yes'"
    end)

    it("waits also while it is told something that it does not want to hear", function()
      assert.equal("false\ttrue\n", supervised [=[
        local worker = start "local channel = ... local text = ('x'):rep(1000000) while true do channel.send(text) end"
        worker:limit { seconds = 1 }
        print((pcall(worker.send, worker, ("s"):rep(1 << 24))),
          tonumber(io.open "/proc/self/status":read "a":match "VmHWM:%s*(%d+)") < 300000)
      ]=])
    end)

    it("is not outlived by what got away from it", function()
      assert.equal("true\nexit\t0\tnil\n", supervised [=[
        local came, _, last = collect(start "os.execute 'setsid yes & sleep 0.2' return 0")
        print(#came.noise < 1e9)
        tell(last)
      ]=])
    end)
  end)

  describe("has a limit", function()
    local ignoring = "local _, host = ... host.graceful(true) while true do end"

    it("of time, whatever it and its supervisor are doing", function()
      local seconds = tonumber(supervised(([=[
        local function now() return tonumber(io.open "/proc/uptime":read "n") end
        local worker, begin = start(%q), now()
        worker:limit { seconds = 0.5 }
        local function lives() worker:send "" end
        while pcall(lives) do end
        io.write(now() - begin)
      ]=]):format(ignoring)))
      assert.is_true(seconds > 1.2 and seconds < 1.5 + 1, seconds)
      assert.equal("signal\t9\ttime\n", supervised(([=[
        local worker = start(%q)
        worker:limit { seconds = 0.2 }
        tell(select(3, collect(worker)))
      ]=]):format(ignoring)))
    end)

    it("of time, at which it can end by itself", function()
      assert.equal("exit\t5\ttime\n", supervised [=[
        local worker = start [[local _, host = ... host.graceful(true)
          repeat until host.interrupted() return 5]]
        worker:limit { seconds = 0.3 }
        tell(select(3, collect(worker)))
      ]=])
    end)

    it("of time, which can be set anew", function()
      assert.equal("exit\t3\tnil\n", supervised [=[
        local worker = start "local _, host = ... host.sleep(1) return 3"
        worker:limit { seconds = 0.3 }
        worker:limit { seconds = 30 }
        tell(select(3, collect(worker)))
      ]=])
    end)

    --- How one ends that works in the directory `place`, where a megabyte and 100 files may lie.
    local function limited(work, before)
      return supervised(([=[
        os.execute "rm -rf place moved; mkdir place" %s
        local worker = start(%q)
        worker:limit { bytes = 1 << 20, files = 100, directories = { "place" } }
        tell(select(3, collect(worker)))
      ]=]):format(before or "", work))
    end

    it("of bytes on the disk, also in files that have no name or lie deep", function()
      local kept = "local file = io.open('place/a', 'wb') %s while true do file:write(('x'):rep(1000)) end"
      assert.equal("signal\t9\tdisk\n", limited(kept:format ""))
      assert.equal("signal\t9\tdisk\n", limited(kept:format "os.remove 'place/a'"))
      assert.equal("signal\t9\tdisk\n", limited("os.execute 'mkdir -p place/b/c' "
        .. kept:gsub("place/a", "place/b/c/a"):format ""))
      assert.equal("signal\t9\tdisk\n", limited(kept:format "os.rename('place', 'moved')"))
    end)

    it("of files, of directories in directories too", function()
      local deep = "local path = 'place' while true do path = path .. '/x' os.execute('mkdir ' .. path) end"
      assert.equal("signal\t9\tfiles\n", limited "for i = 1, 1e9 do io.open('place/' .. i, 'w'):close() end")
      assert.equal("signal\t9\tfiles\n", limited "for i = 1, 1e9 do os.execute('ln -s / place/' .. i) end")
      assert.equal("signal\t9\tfiles\n", limited(deep))
      assert.equal("signal\t9\tfiles\n", supervised(([=[
        os.execute "rm -rf place other; mkdir place other; touch other/a"
        local worker = start(%q)
        worker:limit { bytes = 1 << 40, directories = { "place", "other" } }
        tell(select(3, collect(worker)))
      ]=]):format(deep)))
    end)

    it("of directories that it hides: they count as too many files", function()
      -- root reads everywhere
      code [=[
        os.execute "mkdir own; mkdir -m 300 own/hidden"
        local worker = start "os.execute 'sleep 20'"
        worker:limit { bytes = 1 << 20, files = 100, directories = { "own" } }
        tell(select(3, collect(worker)))
      ]=]
      local as <const> = os.execute "test $(id -u) = 0" and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
      local ran <const> = as .. [["$SMRUN" -e "$(cat supervisor.lua code.lua)"]]
      if bash("chmod 777 . && " .. as .. "$SMRUN --version >/dev/null && echo yes") ~= "yes\n" then
        return pending "there is no user who may run this program and not read everywhere"
      end
      assert.equal("signal\t9\tfiles\n", bash(ran))
    end)

    it("that stays out of its way as long as it is kept", function()
      assert.equal("exit\t0\tnil\n", limited [[
        os.execute "truncate -s 1G place/sparse; ln -s / place/link; ln -s . place/circle"
        for i = 1, 90 do io.open("place/" .. i, "w"):write("x"):close() end
        local file = io.open("place/large", "w")
        file:write(("x"):rep(600000)):flush()
        os.execute "sleep 0.5"
        return 0]])
    end)

    it("of which each is checked before it is set", function()
      assert.equal(("false\n"):rep(6) .. "signal\t9\tdisk\n", supervised [=[
        os.execute "rm -rf place; mkdir place"
        local worker = start "io.open('place/a', 'w'):write(('x'):rep(10000)):flush() while true do end"
        local function try(limits) print((pcall(worker.limit, worker, limits))) end
        try(nil) try { seconds = "soon" } try { seconds = -1 } try { bytes = 1.5 }
        try { bytes = 1, directories = { "place", "nowhere" } }
        try { bytes = 1, directories = { "place", {} } }
        worker:limit { bytes = 1 << 30, directories = { "place" } }
        host.sleep(0.2)
        worker:limit { bytes = 1000, directories = { "place" } }
        tell(select(3, collect(worker)))
      ]=])
    end)
  end)

  describe("and signals:", function()
    --- A supervisor that goes on after one, with a worker that says its process id and works on.
    local function supervisor(work, after)
      code(([=[
        host.graceful(true)
        local worker = start(%q)
        local _, pid = worker:next()
        io.open("pid", "w"):write(pid):close()
        %s
      ]=]):format("local channel, host = ... host.graceful(true) "
        .. "channel.send(tostring(io.open '/proc/self/stat':read 'n')) " .. work,
        after or "tell(select(3, collect(worker)))"))
      os.remove(workspace .. "/pid")
    end
    local waiting <const> = "repeat until host.interrupted() return 6"
    local ignoring <const> = "while true do end"
    local begin <const> = "supervise code.lua & run=$!; soon test -s pid; worker=$(cat pid); "

    it("the first reaches it at once, whatever its supervisor is doing", function()
      for _, name in ipairs { "INT", "TERM", "HUP" } do
        supervisor(waiting, "while not io.open 'go' do end tell(select(3, collect(worker)))")
        assert.equal("exit\t6\tnil\n",
          bash(begin .. "sleep 0.2; kill -" .. name .. " $run; soon gone $worker; : >go; wait $run; rm go"))
      end
    end)

    it("the first is told to who waits", function()
      supervisor(waiting, [[print(worker:next()) print(host.interrupted()) tell(select(3, collect(worker)))]])
      assert.equal("\ntrue\nexit\t6\tnil\n", bash(begin .. "sleep 0.2; kill -TERM $run; wait $run"))
    end)

    it("the first reaches it after the reader of what is printed has gone", function()
      supervisor(waiting, [[for i = 1, 3 do print(i) io.stdout:flush() host.sleep(0.1) end
        local kind, code = table.unpack(select(3, collect(worker)))
        io.open("end", "w"):write(kind, " ", code, "\n"):close()]])
      assert.equal("exit 6\n", bash("supervise code.lua > >(true) & run=$!; soon test -s pid; worker=$(cat pid); "
        .. "sleep 1; kill -TERM $run; wait $run; cat end"))
    end)

    it("the second kills both, unless it is the same once more", function()
      supervisor(ignoring)
      assert.equal("alive\n143\n", bash(begin .. [[
        kill -TERM $run; sleep 0.1; kill -TERM $run; sleep 0.7; gone $worker || echo alive
        kill -TERM $run; wait $run; echo $?; soon gone $worker]]))
    end)

    it("one that does not end after the first is killed when patience does", function()
      supervisor(ignoring, "worker:patience(0.3) tell(select(3, collect(worker)))")
      assert.equal("signal\t9\tsignal\n", bash(begin .. "sleep 0.5; gone $worker || kill -TERM $run; wait $run"))
    end)

    it("it does not outlive its supervisor, however that ends", function()
      for _, name in ipairs { "KILL", "USR2" } do
        supervisor(ignoring)
        assert.equal("gone\n", bash(begin .. "kill -" .. name .. " $run; wait $run 2>/dev/null; sleep 0.2; "
          .. "gone $worker && echo gone"))
      end
      supervisor(ignoring, "os.exit(7)")
      assert.equal("7\n", bash(begin .. "wait $run; echo $?; soon gone $worker"))
      supervisor(ignoring, "error 'x'")
      assert.equal("", bash(begin .. "wait $run 2>/dev/null; soon gone $worker"):gsub("smrun: .*", ""))
    end)

    it("it stops when its supervisor does, and goes on with it", function()
      supervisor(waiting, "worker:limit { seconds = 1.5 } tell(select(3, collect(worker)))")
      assert.equal("T T\nR\nexit\t6\tnil\n", bash("set -m; " .. begin .. [[set +m
        kill -TSTP $run; is() { [ "$(state $1)" = T ]; }; soon is $run; soon is $worker; sleep 2
        echo $(state $run) $(state $worker); kill -CONT $run; sleep 0.3; state $worker; kill -TERM $run; wait $run]]))
    end)

    it("it has none blocked or ignored, no descriptor but four, and a session of its own", function()
      code [=[
        print((collect(start [[local channel, host = ...
          local function read(path)
            local file <close> = io.open(path)
            return file:read "a"
          end
          local status = read "/proc/self/status"
          local function set(name) return tonumber(status:match(name .. ":%s*(%x+)"), 16) & 0x7FFFFFFF end
          io.write(set "SigBlk", " ", set "SigIgn", "\n")
          local own, session = read "/proc/self/stat":match "^(%d+) %b() %a %d+ %d+ (%d+)"
          print(session == own, io.read(1))
          local list = io.popen "sleep 0.2; ls /proc/$PPID/fd"
          print((list:read "a":gsub("%s+", " "))) -- one is the pipe of the list
          return 0]]).output))
      ]=]
      assert.equal("0 0\ntrue\tnil\n0 1 2 3 4 \n\n", bash [[
        trap '' HUP USR1; exec 8</dev/null 9<code.lua 5>&1 3</dev/null 4</dev/null
        env --ignore-signal=TERM --block-signal=USR2 "$SMRUN" -e "$(cat supervisor.lua code.lua)"]])
    end)
  end)

  it("is not in the way of other processes, nor they in its", function()
    assert.equal("exit\t3\nexit\t4\tnil\nold\tdone\n", supervised [=[
      local worker = start "local _, host = ... host.sleep(0.2) return 4"
      local job = host.start({ "/bin/sh", "-c", "exit 3" }, "errors")
      local kind, code
      repeat kind, code = host.ended(job) until kind
      print(kind, code)
      tell(select(3, collect(worker)))
      worker = start()
      print(host.gather { "/usr/bin/printf", "old" })
    ]=])
  end)

  --- What a worker says whose supervisor is a Python program with the other end, `ours`; `run` starts the worker.
  local function python(program)
    helpers.write(workspace .. "/supervisor.py", ([[
import os, socket, subprocess
os.dup2(0, 3)
ours, own = socket.socketpair()
os.dup2(own.fileno(), 3)
own.close()
def run():
    worker = subprocess.Popen([os.environ["SMRUN"], "--worker", "standin"], pass_fds=[3])
    os.close(3)
    return worker
def message(text): return b"m" + len(text).to_bytes(4, "little") + text
%s]]):format(program))
    return bash "python3 supervisor.py"
  end

  it("hears that its supervisor is gone", function()
    assert.equal("0\n", python "w = run(); ours.close(); print(w.wait())")
    assert.equal("0\n", python "w = run(); ours.sendall(message(b'abc')[:-1]); ours.close(); print(w.wait())")
    assert.equal("5\n", python [[
w = run()
ours.sendall(message(b"local channel, host = ... host.graceful(true) while pcall(channel.send, 'x') do end return 5"))
ours.recv(3)
ours.close()
print(w.wait())]])
  end)

  it("takes no message that is none", function()
    for _, bytes in ipairs { [[o\0\0\0\0]], [[m\1\0\0\1]], "x" } do
      assert.equal("True 1\n", python(([[
w = run()
ours.sendall(b"%s")
w.wait()
print(b"what the supervisor says is no message" in ours.recv(10000, socket.MSG_WAITALL).replace(b"e\1\0\0\0", b""),
      w.returncode)]]):format(bytes)))
    end
  end)

  it("sends frames whole, however small the pieces are and whatever signals come", function()
    assert.equal("True\n", python [==[
ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
socket.socket(fileno=os.dup(3)).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
w = run()
ours.sendall(message(b"""local channel, host = ...
  host.graceful(true)
  channel.send "ready"
  for i = 1, 30 do
    channel.send(("abc"):rep(3000)) io.stdout:write(("def"):rep(3000)) io.stderr:write(("ghi"):rep(3000))
  end
  return 0"""))
came = ours.recv(10, socket.MSG_WAITALL)
killer = subprocess.Popen(["sh", "-c", "while kill -PIPE %d; do :; done 2>/dev/null" % w.pid])
while True:
    got = ours.recv(5000)
    if not got: break
    came += got
came = came[10:]
w.wait(); killer.wait()
text = {b"m": b"", b"o": b"", b"e": b""}
while came:
    size = int.from_bytes(came[1:5], "little")
    text[came[:1]] += came[5:5 + size]
    came = came[5 + size:]
print(text == {b"m": b"abc" * 90000, b"o": b"def" * 90000, b"e": b"ghi" * 90000})]==])
  end)

  it("is started by its supervisor alone", function()
    local said = "smrun: --worker is what smrun starts by itself, with a socket as descriptor 3\n2\n"
    for _, third in ipairs { "3<&-", "3</dev/null", "3> >(cat)" } do
      assert.equal(said, bash([["$SMRUN" --worker standin ]] .. third .. "; echo $?"))
    end
  end)
end)
