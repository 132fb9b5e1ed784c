-- Reads files outside by relative paths, in all the ways to write one. All must fail.
-- expect: contained
for _, head in ipairs { "", "./", "../", "exp/../", "exp/../../", "./exp/./../", "runs/../", "runs/other/../../",
  "..//",
  "~/", "exp/../home/.ssh/../../", "../../", "../../../", "../../../../" } do
  for _, tail in ipairs { "outside/secret.txt", "home/.ssh/id_secret", ".ssh/id_secret" } do
    local ok, text = pcall(function() return io.open(head .. tail):read "a" end)
    if ok then print("BREACH: " .. head .. tail, text) end
  end
end
