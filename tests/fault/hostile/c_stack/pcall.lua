-- Recurses through pcall without end. It must be a plain error.
-- expect: contained
local function f() return pcall(f) and 1 end
for _ = 1, 10 do f() end
local function g(...) return select("#", pcall(g, ...)) + 1 end
pcall(g, 1, 2, 3)
