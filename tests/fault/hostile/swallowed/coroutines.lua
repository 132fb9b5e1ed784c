-- Resumes endless coroutines one after the other, whatever they fail with. One SIGTERM must be enough.
-- sends: SIGTERM after 1.5
-- limit: 12
-- expect: killed
while true do
  coroutine.resume(coroutine.create(function() while true do end end))
end
