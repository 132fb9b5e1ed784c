-- Files and runs whose names are commands, ends of lines and codes, in the directory where a person presses Tab.
-- command: --complete bash 'smrun ' ''
-- expect: ok
-- setup: for _, name in ipairs { "$(touch new).lua", "`id`.lua", "a\nb.lua", "\27[31m.lua", "-rf.lua",
-- setup:   ";reboot.lua", "!!.lua" } do write(name, "print 'BREACH: runs'") end
print "BREACH: runs"
