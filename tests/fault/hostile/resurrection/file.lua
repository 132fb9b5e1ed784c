-- A finalizer brings a file back after Lua has closed it; it is used then. It must be an error, not a crash.
-- expect: contained
local saved
do
  local holder = setmetatable({ file = io.open "exp/file.lua" }, { __gc = function(t) saved = t.file end })
  holder = nil -- luacheck: ignore
end
collectgarbage()
collectgarbage()
for _ = 1, 3 do
  pcall(function() saved:read(10) end)
  pcall(function() saved:seek("set", 0) end)
  pcall(function() saved:close() end)
  collectgarbage()
end
print(tostring(saved))
