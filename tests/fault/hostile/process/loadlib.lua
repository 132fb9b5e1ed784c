-- Loads libraries of C with package.loadlib and package.cpath: the system's, and one beside it. None may be loaded.
-- expect: contained
-- setup: compile("exp/native.so")
for _, path in ipairs { "libc.so.6", "@HERE@/exp/native.so", "exp/native.so" } do
  for _, symbol in ipairs { "*", "system", "luaopen_native" } do
    local ok, f = pcall(function() return package.loadlib(path, symbol) end)
    if ok and f then print("BREACH: package.loadlib " .. path) end
  end
end
pcall(function() package.cpath = "@HERE@/exp/?.so;./exp/?.so;./?.so" end)
pcall(require, "native")
pcall(function() package.searchers[3] "native" "native" end)
pcall(function() package.searchers[4] "native.x" "native" end)
