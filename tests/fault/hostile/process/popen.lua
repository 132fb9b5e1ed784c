-- Reads from and writes to commands. None may run.
-- expect: contained
local ok, text = pcall(function() return io.popen "cat '@HERE@/outside/secret.txt'":read "a" end)
if ok then print("BREACH: io.popen reads", text) end
pcall(function() io.popen("cat > '@HERE@/outside/new.txt'", "w"):write "x" end)
ok, text = pcall(function() return io.popen "env; tty; id -u":read "a" end)
if ok and #text > 0 then print("BREACH: io.popen runs") end
