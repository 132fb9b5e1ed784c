-- Opens files outside to write, append and change. All must fail.
-- expect: contained
for _, mode in ipairs { "w", "a", "r+", "w+", "a+", "wb" } do
  for _, path in ipairs { "@HERE@/outside/kept.txt", "@HERE@/outside/new.txt", "@HERE@/exp/new.lua", "@HERE@/new.txt",
    "/tmp/@TOKEN@-canary", "/var/tmp/@TOKEN@-canary", "/dev/shm/@TOKEN@-canary", "@HERE@/home/.bashrc" } do
    pcall(function()
      local file <close> = io.open(path, mode)
      file:write "overwritten"
    end)
  end
end
