-- Asks lfs for the system's directories and files, makes links, changes times and directories. All must be out of
-- reach.
-- expect: contained
local ok, lfs = pcall(require, "lfs")
if not ok then return end
pcall(lfs.touch, "@HERE@/outside/kept.txt", 1, 1)
pcall(lfs.touch, "@HERE@/exp/lfs.lua", 1, 1)
pcall(lfs.mkdir, "@HERE@/outside/new")
pcall(lfs.link, "@HERE@/outside/secret.txt", "@HERE@/exp/hard", false)
pcall(lfs.link, "/", "@HERE@/runs/link", true)
pcall(lfs.rmdir, "@HERE@/home/.ssh")
pcall(lfs.lock_dir, "@HERE@/outside")
for _, path in ipairs { "@HERE@/outside", "/root", "/etc", "/proc/self/fd" } do
  local listed, name = pcall(function() return lfs.dir(path) end)
  if listed and name then print("BREACH: lists " .. path) end
end
pcall(lfs.chdir, "@HERE@/outside")
local read, text = pcall(function() return io.open "secret.txt":read "a" end)
if read then print("BREACH: reads after chdir", text) end
