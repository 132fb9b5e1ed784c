-- A person presses Tab behind the name of this file. It writes, reads, prints, declares parameters that shells obey.
-- command: --complete bash 'smrun exp/file.lua ' ''
-- expect: ok
-- says: harmless=
pcall(function() assert(io.open("@HERE@/runs/new.txt", "w")):write "x" end)
pcall(function() assert(io.open("@HERE@/outside/new.txt", "w")):write "x" end)
pcall(function() print(io.open("@HERE@/outside/secret.txt"):read "a") end)
pcall(os.execute, "touch '@HERE@/outside/new.txt'")
print "BREACH: what a file prints is a candidate"
local sm = require "sm"
pcall(sm.params, { ["$(touch @HERE@/outside/new.txt)"] = 1, ["a b"] = 1, ["`x`"] = 1, ["\27[31m"] = 1 })
sm.params { harmless = "\27[31m\n$(touch @HERE@/outside/new.txt)" }
print "BREACH: runs behind its parameters"
