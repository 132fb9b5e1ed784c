-- Ends a process of the person's, by a shell, by posix, and by what the library has. It must live.
-- expect: contained
pcall(os.execute, "kill -9 @PID@")
pcall(function() io.popen("kill -9 @PID@"):close() end)
pcall(function() require "posix".kill(tonumber "@PID@", 9) end)
pcall(function() require "posix.signal".kill(tonumber "@PID@", 9) end)
for _, path in ipairs { "/proc/@PID@/mem", "/proc/@PID@/oom_score_adj", "/proc/@PID@/clear_refs" } do
  local ok, wrote = pcall(function()
    local file <close> = io.open(path, "r+")
    return file and true
  end)
  if ok and wrote then print("BREACH: opens " .. path) end
end
