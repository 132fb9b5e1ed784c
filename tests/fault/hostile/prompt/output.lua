-- Writes what terminals obey, and forged names behind -i. They must be made visible.
-- command: -i exp/output.lua
-- expect: contained
for _, code in ipairs { "\27]0;title\7", "\27[31m", "\27_Ga=T,f=100;AAAA\27\\", "\27P0;1q#0\27\\", "\xc2\x9b31m",
  "\27[6n" } do
  print(code) io.write(code) io.stderr:write(code)
end
local forged = setmetatable({}, { __tostring = function() return "\27[31m" end, __name = "\27[31m" })
pcall(error, forged)
local model = require "sm".nn.linear { 3, name = "\27[31m" }
