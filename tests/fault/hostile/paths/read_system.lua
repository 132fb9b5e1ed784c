-- Reads files of the system that a program has no need of. All must fail.
-- expect: contained
for _, path in ipairs { "/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/machine-id", "/root/.bashrc",
  "/etc/ssh/sshd_config",
  "/var/log/dpkg.log", "/sys/class/dmi/id/product_name", "/boot/grub/grub.cfg", "/var/lib/dpkg/status" } do
  local ok, text = pcall(function() return io.open(path):read(20) end)
  if ok and text then print("BREACH: " .. path) end
end
