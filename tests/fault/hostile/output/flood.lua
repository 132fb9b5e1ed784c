-- Prints without end. The limit must end it, and the program around it must not grow.
-- options: --max-time 3 --max-memory 300M
-- expect: killed
while true do print(("x"):rep(10000)) end
