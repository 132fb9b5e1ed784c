-- Tries every function of debug but traceback. None may be of use.
-- expect: contained
local tried
tried = {
  getregistry = function(f) return f() end, gethook = function(f) return f() or true end,
  getupvalue = function(f) return f(print, 1) or f(require, 1) or f(function() return tried end, 1) end,
  getlocal = function(f) return f(1, 1) end, getinfo = function(f) return f(1) end,
  getmetatable = function(f) return f "" end, setmetatable = function(f) return f({}, {}) end,
  setlocal = function(f) return f(1, 1, 1) end, setupvalue = function(f) return f(function() return tried end, 1,
    1) end,
  sethook = function(f) f(function() end, "l") return true end, upvalueid = function(f) return f(print, 1) or true end,
  upvaluejoin = function(f) f(print, 1, print, 1) return true end, setuservalue = function(f) return f(io.stdout,
    1) end,
  getuservalue = function(f) return f(io.stdout) or true end, setcstacklimit = function(f) return f(1000) end,
}
for name, try in pairs(tried) do
  local f = type(debug) == "table" and rawget(debug, name)
  local ok, got = pcall(try, f)
  if f and ok and got then print("BREACH: debug." .. name) end
end
