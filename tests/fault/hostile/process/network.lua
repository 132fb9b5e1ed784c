-- Opens connections: by luasocket, by posix, by a shell's /dev/tcp. All must fail.
-- expect: contained
local ok, udp = pcall(function() return require "socket".udp() end)
if ok and udp then print "BREACH: a socket of luasocket" end
ok, udp = pcall(function() return require "posix.sys.socket".socket(2, 2, 0) end)
if ok and udp then print "BREACH: a socket of posix" end
ok, udp = pcall(function() return io.popen("exec 3<>/dev/udp/127.0.0.1/9 && echo open", "r"):read "l" end)
if ok and udp == "open" then print "BREACH: a socket of a shell" end
