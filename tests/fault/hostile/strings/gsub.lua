-- Replaces with a pattern that takes exponential time, in pcall, again and again. It must be stopped at the limit.
-- options: --max-time 3
-- expect: killed
while true do
  pcall(function() return (("a"):rep(5000):gsub(("(a*)"):rep(16) .. "b", "%1")) end)
end
