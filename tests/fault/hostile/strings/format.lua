-- Formats with widths, precisions and conversions that overflow buffers. Each must be an error or right.
-- expect: contained
for _, form in ipairs { "%99.99f", "%.99f", "%099d", "%-99s", "%a", "%.99g", "%99.99a", "%q", "%.20s", "%5c" } do
  for _, value in ipairs { 1e308, -1e308, 0 / 0, math.huge, math.mininteger, ("x"):rep(1e6) } do
    pcall(string.format, form, value)
  end
end
for _, form in ipairs { "%100d", "%.100d", "%y", "%", "%10", "%n", "%p", "%hs", "%lls", "%*d", "%1$s" } do
  local ok, text = pcall(string.format, form, 1)
  if ok and form ~= "%p" then print("BREACH: takes " .. form, text) end
end
