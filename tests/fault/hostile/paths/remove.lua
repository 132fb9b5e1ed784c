-- Removes and renames the runs of others, its own file, and what lies outside. All must stay; what a script's own runs
-- left beneath its name is its own.
-- expect: contained
for _, path in ipairs { "runs/other/default/summary.json", "exp/remove.lua",
  "outside/kept.txt", "../outside/kept.txt", "runs/other/default", "runs/other", "exp", "home/.ssh/id_secret" } do
  for _, head in ipairs { "", "@HERE@/", "../", "../../" } do
    pcall(os.remove, head .. path)
    pcall(os.rename, head .. path, head .. path .. ".gone")
    pcall(os.rename, head .. path, "mine")
  end
end
