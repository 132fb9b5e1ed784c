-- Came with a directory of runs in which its own name is a link that leads outside. No right to write may follow it.
-- expect: contained
-- setup: remove("runs/planted_runs") link("runs/planted_runs", here .. "/outside")
for _, path in ipairs { "kept.txt", "new.txt", "runs/planted_runs/kept.txt", "@HERE@/outside/kept.txt" } do
  pcall(function()
    local file <close> = io.open(path, "w")
    file:write "overwritten"
  end)
  pcall(os.remove, path)
end
