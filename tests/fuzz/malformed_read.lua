--- Reads the files that the lines of `list` name, and says in `told` what came of each: "begin", then "ok", or the
--- error as a string of Lua.
local sm = require "sm"
local runtime = require "sm.runtime"

--- Reads a file alone, and, should that be well, as the images and labels of a data set.
local function read(path)
  if path:find "%.png$" then return pcall(sm.png.load, path) end
  if not path:find "%.idx$" and not path:find "%.gz$" then return pcall(sm.load, path) end
  local ok, message = pcall(runtime.io.read_idx, path)
  if not ok then return ok, message end
  return pcall(sm.data.idx, { images = path, labels = path })
end

local out <close> = assert(io.open("told", "w"))
out:setvbuf "line"
for path in io.lines "list" do
  out:write "begin\n"
  local ok, message = read(path)
  if ok then
    out:write "ok\n"
  elseif type(message) == "string" then
    out:write((("%q"):format(message):gsub("\\\n", "\\n")), "\n")
  else
    out:write(("%q"):format("an error that is a " .. type(message)), "\n")
  end
end
