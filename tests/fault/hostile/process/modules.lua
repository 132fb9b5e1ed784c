-- Requires the modules of C that lie on the machine: posix, socket, and others. None may be loaded.
-- expect: contained
for _, name in ipairs { "posix", "posix.unistd", "socket", "socket.core", "socket.unix", "system", "lpeg", "yaml",
  "ssl", "ffi",
  "term", "posix.signal", "posix.sys.socket", "cjson", "lfs" } do
  local ok, module = pcall(require, name)
  if ok and type(module) == "table" and name ~= "lfs" and name ~= "cjson" then print("BREACH: require " .. name) end
end
