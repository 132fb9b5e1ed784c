-- Takes the path of a file outside as a parameter of the run, as a person might be told to give it. It must be refused.
-- command: exp/read_arguments.lua file=@HERE@/outside/secret.txt
-- expect: contained
local sm = require "sm"
local p = sm.params { file = "" }
local ok, text = pcall(function() return io.open(p.file):read "a" end)
if ok then print("BREACH: a path as a parameter", text) end
