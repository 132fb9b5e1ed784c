-- Gives a chunk the name of a file of the library, so that it seems to be the library's own. It must gain nothing.
-- expect: contained
for _, name in ipairs { "@lua/sm/files.lua", "=[C]", "@/usr/share/smrun/lua/sm/host.lua", "@" .. ("x"):rep(1e6) } do
  local f = load([[
    local ok, host = pcall(require, "sm.host")
    if ok and type(host) == "table" and next(host) then return "sm.host" end
    return debug.getregistry and pcall(debug.getregistry) and "the registry"
  ]], name)
  local got = f and f()
  if got then print("BREACH: reached " .. got) end
end
