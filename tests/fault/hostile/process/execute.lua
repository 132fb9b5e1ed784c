-- Runs commands of a shell. None may run.
-- expect: contained
pcall(os.execute, "echo BREACH; touch '@HERE@/outside/new.txt'; cat '@HERE@/outside/secret.txt'")
pcall(os.execute, "sleep 100 & setsid sleep 100 &")
local ok, there = pcall(os.execute)
if ok and there then print "BREACH: there is a shell" end
