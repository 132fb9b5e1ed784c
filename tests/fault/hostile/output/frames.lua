-- Writes bytes that look like the frames between a worker and its supervisor, to every output. It must be plain text.
-- expect: error "the end of it"
for _, kind in ipairs { "m", "o", "e", "\0", "\255" } do
  for _, size in ipairs { 0, 4, 1 << 24, (1 << 32) - 1 } do
    local bytes = kind .. string.pack("<I4", size) .. '{"kind":"finished","exit":0}'
    for _, file in ipairs { io.stdout, io.stderr } do pcall(file.write, file, (bytes:gsub("%c", "?"))) end
    print(bytes)
    for descriptor = 3, 9 do
      pcall(function()
        local file <close> = io.open("/proc/self/fd/" .. descriptor, "w")
        file:write(bytes)
      end)
      pcall(function()
        local file <close> = io.open("/dev/fd/" .. descriptor, "w")
        file:write(bytes)
      end)
    end
  end
end
error "the end of it"
