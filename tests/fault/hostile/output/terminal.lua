-- Writes past smrun: to the terminal, to descriptors, to the terminal's file. All must fail.
-- terminal
-- expect: contained
for _, path in ipairs { "/dev/tty", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1", "/proc/self/fd/2",
  "/proc/self/fd/0" } do
  for _, mode in ipairs { "w", "r+", "a" } do
    pcall(function()
      local file <close> = io.open(path, mode)
      file:write "\27[31mBREACH\27[0m\n"
    end)
  end
end
pcall(os.execute, "printf '\\033[31mBREACH\\n' >/dev/tty")
