-- A finalizer at the end of a program that failed ends it with success. It must be no success.
-- expect: error "it failed"
local keep = setmetatable({}, { __gc = function() os.exit(0) os.exit(true, true) end })
error "it failed"
