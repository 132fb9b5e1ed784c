-- Has debug.traceback and error positions name what it chooses, and walk other coroutines. It must gain nothing.
-- expect: contained
local thread = coroutine.create(function() coroutine.yield() end)
coroutine.resume(thread)
for _, arguments in ipairs { { thread }, { thread, "x", 1 }, { "x", math.maxinteger }, { {}, 1 }, { nil, -1 } } do
  pcall(debug.traceback, table.unpack(arguments))
end
pcall(error, "x", math.maxinteger)
pcall(error, "x", -math.maxinteger)
