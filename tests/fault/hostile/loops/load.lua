-- Loops for ever before anything is declared. The limit must end it.
-- options: --max-time 3
-- expect: killed
while true do end
