-- Calls methods of tensors, files, canvases and directories on objects of other kinds. Each must be an error.
-- expect: contained
local sm = require "sm"
local objects = { sm.ones(2), io.stdout, sm.view.canvas(4, 4), sm.nn.linear { 2 }, sm.optim.sgd { lr = 1 }, "x", 1, {},
  coroutine.create(print), print, false }
local methods = { sm.ones(1).sum, sm.ones(1).copy_, sm.ones(1).totable, sm.ones(1).reshape, io.stdout.seek,
  io.stdout.setvbuf, objects[3].line, objects[3].save, objects[4].build, objects[5].step }
for m, method in ipairs(methods) do
  for o, object in ipairs(objects) do
    local same = (m <= 4 and o == 1) or ((m == 5 or m == 6) and o == 2) or ((m == 7 or m == 8) and o == 3)
      or (m == 9 and o == 4) or (m == 10 and o == 5)
    if not same and pcall(method, object) then print(("BREACH: method %d takes object %d"):format(m, o)) end
  end
end
