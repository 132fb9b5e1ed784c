--- The ONNX form of every operation that has one, by its name.
-- @module sm.onnx.forms
local forms = {}
for _, family in ipairs {
  require "sm.onnx.forms.pointwise", require "sm.onnx.forms.shape", require "sm.onnx.forms.reduce",
  require "sm.onnx.forms.window", require "sm.onnx.forms.groups", (require "sm.onnx.forms.sequence"),
} do
  for name, form in pairs(family) do forms[name] = form end
end
return forms
