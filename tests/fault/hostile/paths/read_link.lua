-- Reads through links beside it that lead outside: a file, a directory, a chain of links. All must fail.
-- expect: contained
-- setup: link("exp/data.csv", here .. "/outside/secret.txt")
-- setup: link("exp/dir", "../outside") link("exp/one", "two") link("exp/two", "dir/../../home/.ssh/id_secret")
for _, path in ipairs { "data.csv", "dir/secret.txt", "one", "two" } do
  for _, head in ipairs { "exp/", "@HERE@/exp/", "" } do
    local ok, text = pcall(function() return io.open(head .. path):read "a" end)
    if ok then print("BREACH: " .. head .. path, text) end
  end
end
