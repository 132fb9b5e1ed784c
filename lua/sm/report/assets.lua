--- What a page is made of besides its content: the style and the script beside this file, and dygraphs.
local fail = require "sm.fail"
local runtime = require "sm.runtime"
local sha256 = require "sm.report.sha256"

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
  text = text:gsub("\r\n?", "\n") -- as a browser reads it
  return (text:gsub("\n//# sourceMappingURL=[^\n]*", ""):gsub("\n/%*# sourceMappingURL=.-%*/", ""))
end

local sources = {} -- text → how a policy names it: the same few in every page of a process

--- How a Content-Security-Policy names a script or a style that stands in the page.
local function source(text)
  sources[text] = sources[text] or ("'sha256-%s'"):format(runtime.io.base64(sha256(text)))
  return sources[text]
end

--- What a page is made of.
--- @return table {style=CSS, script=JavaScript, policy=(a Content-Security-Policy which allows these two by what they
---   are, pictures that are in the page, and nothing else)}
function M.get()
  local style = dygraphs "dygraph.min.css" .. "\n" .. own "report.css" .. own "classes.css"
  local script = dygraphs "dygraph.min.js" .. "\n" .. own "series.js" .. own "charts.js" .. own "report.js"
  return { style = style, script = script, policy = ("default-src 'none'; script-src %s; style-src %s; img-src data:; "
    .. "base-uri 'none'; form-action 'none'"):format(source(script), source(style)) }
end

return M
