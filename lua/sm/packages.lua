--- Lua modules that the system's packages bring: one that is missing is told with its package's name.
-- @module sm.packages
local PACKAGES <const> = { argparse = "lua-argparse", lfs = "lua-filesystem" }

package.searchers[#package.searchers + 1] = function(name) -- the last, which is asked for what no other has found
  local missing = PACKAGES[name]
  if missing then error(("the Lua module '%s' is missing: install Debian's package %s"):format(name, missing), 0) end
end
