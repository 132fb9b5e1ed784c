-- Finalizers write files outside, while the program runs and at its end. None may come to be.
-- expect: contained
local open = io.open
local function write()
  for _, path in ipairs { "@HERE@/outside/new.txt", "outside/new.txt", "../outside/new.txt", "/tmp/@TOKEN@-canary" } do
    pcall(function() open(path, "w"):write "x" end)
  end
end
setmetatable({}, { __gc = write })
collectgarbage()
local keep = setmetatable({}, { __gc = write })
