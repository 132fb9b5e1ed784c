--- What a page is made of besides its content: the style and the script beside this file, and dygraphs.
local fail = require "sm.fail"

local M = {}

local _, own_path = ...
local beside <const> = own_path:match "^(.*/)" or "./"
local usual_place <const> = "/usr/share/javascript/dygraphs" -- of Debian's libjs-dygraphs

--- @return string|nil the content of a file, which may be a link in what is installed
local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

local function own(name)
  return read(beside .. name) or fail("%s%s is missing: smrun is not wholly installed", beside, name)
end

--- A file of dygraphs. Its last line may name a source map, which a browser's inspector would ask for.
local function dygraphs(name)
  local place = os.getenv "SM_DYGRAPHS" or usual_place
  local text = read(place .. "/" .. name)
  if not text then
    fail("there is no %s/%s, which draws the curves of a report: install the package libjs-dygraphs, or set "
      .. "SM_DYGRAPHS to the directory that has it", place, name)
  end
  return (text:gsub("\n//# sourceMappingURL=[^\n]*", ""):gsub("\n/%*# sourceMappingURL=.-%*/", ""))
end

--- @return string CSS
function M.style()
  return dygraphs "dygraph.min.css" .. "\n" .. own "report.css"
end

--- @return string JavaScript
function M.script()
  return dygraphs "dygraph.min.js" .. "\n" .. own "series.js" .. own "report.js"
end

return M
