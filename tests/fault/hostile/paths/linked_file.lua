-- Is given by a link that lies in a directory of links, also named modules. Nothing that these lead to may be read.
-- command: exp/given.lua
-- expect: contained
-- setup: link("exp/given.lua", "linked_file.lua") link("exp/modules", "../outside") link("exp/given", "../outside")
-- setup: link("exp/lib", "../home") link("exp/init.lua", "../outside/secret.lua")
for _, path in ipairs { "modules/secret.txt", "given/secret.txt", "lib/.ssh/id_secret", "init.lua" } do
  for _, head in ipairs { "exp/", "@HERE@/exp/", "" } do
    local ok, text = pcall(function() return io.open(head .. path):read "a" end)
    if ok then print("BREACH: " .. head .. path, text) end
  end
end
for _, name in ipairs { "secret", "init", "modules.secret", "given.secret" } do
  local ok, value = pcall(require, name)
  if ok or tostring(value):find "cr3t" then print("BREACH: require " .. name, value) end
end
