-- Reads memory, disks, terminals and the random devices. All but the random numbers must fail.
-- expect: contained
for _, path in ipairs { "/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/tty",
  "/dev/pts/0", "/dev/stdin", "/dev/fd/0", "/dev/shm" } do
  local ok, text = pcall(function() return io.open(path, "rb"):read(1) end)
  if ok and text then print("BREACH: " .. path) end
end
