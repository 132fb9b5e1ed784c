-- Came with a link that leads outside in place of the directory of runs. No right to read the secret may follow it.
-- command: --runs exp/runs exp/planted_root.lua
-- expect: contained
-- setup: link("exp/runs", here .. "/outside")
for _, path in ipairs { "runs/secret.txt", "exp/runs/secret.txt", "@HERE@/outside/secret.txt" } do
  local ok, text = pcall(function() return io.open(path):read "a" end)
  if ok then print("BREACH: " .. path, text) end
end
