-- Requires modules by names that lead elsewhere: .., slashes, absolute, links, package.path. None may be read.
-- expect: contained
-- setup: link("exp/linked.lua", here .. "/outside/secret.lua") link("exp/dir", "../outside")
for _, path in ipairs { "?", "?.lua", "@HERE@/outside/?.lua", "/?.lua", "../outside/?.lua", "./?" } do
  pcall(function() package.path = path end)
  for _, name in ipairs { "secret", "outside.secret", "../outside/secret", "@HERE@/outside/secret", "linked",
    "dir.secret",
    "..outside.secret", "dir/secret", "@HERE@/outside/secret.lua", "...outside.secret", "linked.lua" } do
    local ok, value = pcall(require, name)
    if ok or tostring(value):find "cr3t" then print("BREACH: require " .. name, value) end
    pcall(function()
      local found = package.searchpath(name, path)
      if found and not found:find "exp/" then print("BREACH: package.searchpath finds " .. found) end
    end)
  end
end
