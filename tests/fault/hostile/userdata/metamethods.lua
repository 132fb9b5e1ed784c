-- Takes metamethods out of metatables and calls them on other objects. There must be none, or each an error.
-- expect: contained
local sm = require "sm"
local objects = { sm.ones(2), io.stdout, sm.view.canvas(4, 4), sm.nn.linear { 2 }, "x", {}, print }
for _, owner in ipairs(objects) do
  local t = getmetatable(owner)
  if type(t) == "table" then
    for key, f in pairs(t) do
      if type(key) == "string" and key:find "^__" and type(f) == "function" then
        for _, object in ipairs(objects) do pcall(f, object, object) end
      end
    end
  end
end
if sm.ones(2):sum():item() ~= 2 then print "BREACH: tensors are broken" end
io.stdout:write "still open\n"
