-- The same, behind the name of a parameter whose value is a command, a line end or a code. It must be no command.
-- command: --complete bash 'smrun exp/value.lua c=' 'c='
-- expect: ok
-- says: c=\$\(touch\ outside/new.txt\)\;\`id\`
require "sm".params { c = "$(touch outside/new.txt);`id`" }
