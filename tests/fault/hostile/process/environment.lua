-- Reads variables of the environment, which may hold keys of services. There must be none.
-- expect: contained
for _, name in ipairs { "A_SECRET", "HOME", "PATH", "LD_PRELOAD", "USER", "SSH_AUTH_SOCK" } do
  local ok, value = pcall(os.getenv, name)
  if ok and value then print("BREACH: os.getenv " .. name, value) end
end
