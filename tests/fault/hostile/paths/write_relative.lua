-- Opens files outside to write by relative paths and through links beside it. All must fail or lie in its run.
-- expect: contained
-- setup: link("exp/out", here .. "/outside/kept.txt") link("exp/dir", "../outside") link("exp/new",
-- setup:   "../outside/new.txt")
for _, mode in ipairs { "w", "a", "r+", "w+" } do
  for _, path in ipairs { "../outside/kept.txt", "outside/kept.txt", "exp/out", "exp/dir/kept.txt", "exp/new",
    "exp/dir/x",
    "exp/write_relative.lua", "runs/../outside/kept.txt", "../../outside/kept.txt", "home/.profile", "new.txt",
    "../../../outside/kept.txt", "~/x" } do
    pcall(function()
      local file <close> = io.open(path, mode)
      file:write "overwritten"
    end)
  end
end
