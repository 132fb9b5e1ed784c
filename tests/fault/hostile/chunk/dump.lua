-- Asks for the bytes of a compiled function, from which forged ones are made. There must be no such function.
-- expect: contained
local ok, bytes = pcall(function() return string.dump(function() return 1 end) end)
if ok and type(bytes) == "string" then print "BREACH: string.dump gives bytes" end
ok, bytes = pcall(function() return ("").dump(function() return 1 end) end)
if ok and type(bytes) == "string" then print "BREACH: a method of strings gives bytes" end
