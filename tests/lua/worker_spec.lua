--- A worker and its supervisor: what they say to each other, and how a worker ends.
local helpers = dofile "tests/lua/worker_helpers.lua"

local workspace

--- What a supervisor prints.
local function supervised(code)
  return (helpers.supervise(workspace, code))
end

describe("a worker", function()
  setup(function() workspace = helpers.workspace() end)
  teardown(function() os.execute("rm -rf '" .. workspace .. "'") end)

  describe("and its supervisor", function()
    it("hear each other, output and messages in their order", function()
      assert.equal("output message errors output message\none\nthree firsttwo second\nexit\t7\tnil\n", supervised [=[
        local worker = start [[
          local channel = ...
          print "one" channel.send "first" io.stderr:write "two" io.write "three" channel.send(" second")
          return 7
        ]]
        local came, order, last = collect(worker)
        print(order)
        print(came.output .. " " .. "first" .. came.errors .. came.message:gsub("first", "", 1))
        tell(last)
      ]=])
    end)

    it("give any bytes as they are, none and 16 MiB of them, but not more", function()
      assert.equal("0\n1\n16777216\ntrue\tfalse\tfalse\nexit\t0\tnil\n", supervised [=[
        local worker = start [[local channel = ...
          for i = 1, 3 do channel.send(channel.receive()) end
          channel.send(tostring(pcall(channel.send, ("x"):rep((1 << 24) + 1))))
          return 0]]
        local all = ("\0\r\n\255m\1"):rep(1 << 22):sub(1, 1 << 24)
        for _, text in ipairs { "", "\0", all } do
          worker:send(text)
          local kind, bytes = worker:next()
          assert(kind == "message" and bytes == text)
          print(#bytes)
        end
        local too_long = pcall(worker.send, worker, all .. "x")
        print(true, too_long, select(2, worker:next()))
        local _, _, last = collect(worker)
        tell(last)
      ]=])
    end)

    it("do not wait for each other when both send", function()
      assert.equal("40000000\tnil\nexit\t0\tnil\n", supervised [=[
        local worker = start [[local channel = ...
          for i = 1, 40 do channel.send(("w"):rep(1000000)) end
          for i = 1, 40 do assert(#channel.receive() == 1000000) end
          return 0]]
        for i = 1, 40 do worker:send(("s"):rep(1000000)) end
        local came, _, last = collect(worker)
        print(#came.message, came.message:find "[^w]")
        tell(last)
      ]=])
    end)

    it("have a pipe for what else is printed", function()
      assert.equal("from a program\nfrom a program\nexit\t3\tnil\n", supervised [=[
        local came, _, last = collect(start [[
          os.execute "echo from a program" os.execute "echo from a program >&2" return 3]])
        io.write(came.noise)
        tell(last)
      ]=])
    end)

    it("do not let one of the two wait for the other", function()
      assert.equal("message noise message\nexit\t0\tnil\n", supervised [=[
        local worker = start [[local channel = ... os.execute "echo noise"
          for i = 1, 100 do channel.send "x" end return 0]]
        host.sleep(0.5)
        local _, order, last = collect(worker)
        print(order) tell(last)
      ]=])
    end)

    it("wait so long as they are told", function()
      assert.equal("0\ttrue\n0\ttrue\n", supervised [=[
        local worker = start "while true do end"
        for _, seconds in ipairs { 0.25, 0 } do
          local begin = os.clock()
          print(select("#", worker:next(seconds)), os.clock() - begin < 0.2)
        end
      ]=])
    end)

    it("are there one at a time, one after the other", function()
      local output = supervised [=[
        local first = start()
        print((select(2, pcall(host.worker)):gsub("^.-:%d+: ", "")))
        first:kill()
        tell(select(3, collect(first)))
        print(pcall(first.next, first))
        print(pcall(first.send, first, "x"))
        print(pcall(first.limit, first, { seconds = 1 }))
        first:kill()
        tell(select(3, collect(start "return 4")))
        do local closed <close> = start() end
        tell(select(3, collect(start "return 5")))
      ]=]
      assert.equal([[
there is a worker already
signal	9	nil
false	the worker has ended
false	the worker is gone
false	the worker has ended
exit	4	nil
exit	5	nil
]], output)
    end)
  end)

  describe("ends", function()
    it("by an exit, with all that it has sent before", function()
      assert.equal("3000\n1000\nexit\t9\tnil\n", supervised [=[
        local worker = start [[local channel = ...
          for i = 1, 1000 do channel.send "abc" io.write "." end os.exit(9)]]
        host.sleep(0.3)
        local came, _, last = collect(worker)
        print(#came.message) print(#came.output) tell(last)
      ]=])
    end)

    it("by an error, which it tells", function()
      assert.equal("false\nexit\t1\tnil\n", supervised [=[
        local came, _, last = collect(start "error 'on purpose'")
        print(not came.errors:find "smrun: .*on purpose\nstack traceback") tell(last)
      ]=])
    end)

    it("by a signal, and is not there any more", function()
      assert.equal("signal\t12\tnil\nnil\n", supervised [=[
        local worker = start [[local channel = ...
          channel.send(io.open "/proc/self/stat":read "n" .. "") os.execute "kill -USR2 $PPID"]]
        local came, _, last = collect(worker)
        tell(last)
        print((io.open("/proc/" .. came.message .. "/stat")))
      ]=])
    end)

    it("with what it has started", function()
      assert.equal("exit\t0\tnil\ntrue\n", (helpers.bash(workspace, [=[
        cat >code.lua <<"END"
          local begin = os.time()
          tell(select(3, collect(start [[os.execute "sleep 30 & echo $! >child; sleep 0.1" return 0]])))
          print(os.time() - begin < 10)
END
        (supervise code.lua); soon gone $(cat child)]=])))
    end)

    it("with its seconds of processors", function()
      assert.equal("true\n", supervised [=[
        local _, _, last = collect(start "while os.clock() < 0.3 do end return 0")
        print(last[4] >= 0.3 and last[4] < 3)
      ]=])
    end)
  end)
end)
