-- Loads text with another environment and looks for what the script was not given. It must find nothing new.
-- expect: contained
local f = load("return _ENV", "=x", "t")
local g = f and f()
for _, name in ipairs { "debug", "package", "io", "os" } do
  if g and g[name] ~= _G[name] then print("BREACH: load has another " .. name) end
end
if pcall(load, "return 1", "=x", "t", nil) and load("x = 1", "=x", "t", nil) then
  pcall(load("x = 1", "=x", "t", nil))
end
