-- The file behind io.lines is collected while its iterator is called again. It must be an error.
-- expect: contained
local again
local next_line = io.lines "exp/lines.lua"
local saved = setmetatable({ f = next_line }, { __gc = function(t) again = t.f end })
next_line, saved = nil, nil
collectgarbage()
collectgarbage()
for _ = 1, 1000 do
  if not pcall(again) then break end
end
print(saved)
