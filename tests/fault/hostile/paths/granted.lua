-- Is granted one directory to read, and tries to get out of it, by .. and by a link in it. It must read that one alone.
-- options: --read granted
-- expect: ok
-- setup: mkdir("granted") write("granted/given.txt", "given") link("granted/link.txt", here .. "/outside/secret.txt")
local file <close> = assert(io.open "granted/given.txt")
assert(file:read "a" == "given")
for _, path in ipairs { "granted/../outside/secret.txt", "granted/link.txt", "@HERE@/granted/../outside/secret.txt" } do
  local ok, text = pcall(function() return io.open(path):read "a" end)
  if ok then print("BREACH: " .. path, text) end
end
for _, mode in ipairs { "w", "a", "r+" } do
  local ok, other = pcall(io.open, "granted/given.txt", mode)
  if ok and other then
    pcall(function() other:write "overwritten" other:close() end)
  end
end
