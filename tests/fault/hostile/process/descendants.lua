-- Leaves processes that outlive it, in sessions of their own. None may be there.
-- expect: contained
pcall(os.execute, "(setsid sh -c 'sleep 60 & sleep 61' >/dev/null 2>&1 &) ; nohup sleep 62 >/dev/null 2>&1 &")
pcall(function() io.popen "sleep 63" end)
pcall(function()
  local unistd = require "posix.unistd"
  if unistd.fork() == 0 then
    unistd.setpid("s")
    unistd.sleep(64)
    os.exit(0)
  end
end)
