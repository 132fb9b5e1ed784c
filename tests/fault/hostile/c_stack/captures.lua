-- Matches patterns that recurse once a character, over long texts. It must be a plain error.
-- expect: contained
local text = ("a"):rep(1 << 22)
for _, pattern in ipairs { ("(.-)"):rep(32), (".-"):rep(300) .. "b", "(.-)%1%1b", ("(a)"):rep(32), "%b()" } do
  pcall(string.match, text:sub(1, 3000), pattern)
end
pcall(string.find, text, ("a?"):rep(300000) .. "b")
