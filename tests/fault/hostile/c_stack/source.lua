-- Loads text that nests parentheses, tables, functions and operators a million deep. It must be a plain error.
-- expect: contained
for _, part in ipairs { "(", "{", "return function() ", "- ", "not ", "a.b[", "x .. ", "1 ^ ", "f{", "do " } do
  local f = load("return " .. part:rep(1000000) .. "1", "=deep")
  if f then print("BREACH: there is no end of " .. part) end
end
