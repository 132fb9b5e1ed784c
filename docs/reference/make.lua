--- make.lua BUILD: writes the reference to build/docs/index.html, the operations to docs/operations.md, what editors
-- read to library/, and all pages of Markdown as HTML beside the reference. Names what is public and has no
-- documentation, and fails.
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

local version <const> = require "sm".version
local pages, links = require "docs.reference.pages", require "docs.reference.links"
os.execute "mkdir -p build/docs/guide build/docs/results && rm -rf build/docs/images && cp -R docs/images build/docs"
write("build/docs/index.html", require "docs.reference.page".render(rooms, version))
write("docs/operations.md", require "docs.reference.markdown".operations(rooms))
os.execute "mkdir -p library/sm"
for path, content in pairs(require "docs.reference.definitions".files(rooms)) do write(path, content) end

local elsewhere = {}
for _, path in ipairs(pages.sources()) do
  local html, problem = pages.render(path, version)
  if not html then
    io.stderr:write(problem, "\n")
    os.exit(1)
  end
  write("build/docs/" .. pages.target(path), html)
  local _, of_page = links.of(path)
  for _, link in ipairs(of_page) do
    if not links.resolve(path, link.link) then
      elsewhere[#elsewhere + 1] = ("%s:%d: %s\n"):format(path, link.line, link.link)
    end
  end
end
write("build/docs/links-elsewhere.txt", table.concat(elsewhere)) -- which nothing here follows
