-- Reads what the system tells of this and other processes: environment, memory, descriptors. All must fail.
-- expect: contained
for _, path in ipairs { "/proc/self/environ", "/proc/self/mem", "/proc/self/maps", "/proc/self/cmdline",
  "/proc/1/environ",
  "/proc/self/cwd/outside/secret.txt", "/proc/self/root@HERE@/outside/secret.txt", "/proc/thread-self/environ",
  "/proc/self/fd/0", "/proc/self/fd/3", "/proc/mounts", "/proc/kallsyms" } do
  local ok, text = pcall(function() return io.open(path):read(100) end)
  if ok and text then print("BREACH: " .. path, text:gsub("%z", " ")) end
end
