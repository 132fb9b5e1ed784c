--- make.lua BUILD: writes the reference to build/docs/index.html and the operations to docs/operations.md. Names what
-- is public and has no documentation, and fails.
local build = arg[1] or "build"
package.path = "./?.lua;./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./" .. build .. "/lib/?.so;" .. package.cpath

local collect = require "sm.reference.collect"

local rooms, missing = collect.collect()
if #missing > 0 then
  io.stderr:write("undocumented:\n  ", table.concat(missing, "\n  "), "\n")
  os.exit(1)
end

local function write(path, content)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(content))
end

os.execute "mkdir -p build/docs"
write("build/docs/index.html", require "docs.reference.page".render(rooms, require "sm".version))
write("docs/operations.md", require "docs.reference.markdown".operations(rooms))
