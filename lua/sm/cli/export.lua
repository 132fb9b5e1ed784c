--- smrun export RUN|model.safetensors --format npz|onnx: a trained network for other programs.
local lfs = require "lfs"
local paths = require "sm.cli.paths"
local text = require "sm.text"
local usage = require "sm.usage"

local M = {}

local formats <const> = { npz = true, onnx = true }

--- The format that options say, by the name of the file where by nothing else.
local function format_of(options)
  local ending = options.out and options.out:match "%.([^./]+)$"
  local format = options.format or formats[ending] and ending
  if not format then usage.fail "'export' needs --format npz or --format onnx, or --out with a name that ends so" end
  if not formats[format] then usage.fail("option '--format' must be npz or onnx, got '%s'", format) end
  if options.out and ending ~= format then
    usage.fail("option '--out' must be a name that ends in .%s, got '%s'", format, options.out)
  end
  return format
end

--- Where a file goes: what --out says, or into the working directory, by the name of the run.
local function place_of(options, source, format)
  if options.out then return options.out end
  if source.checkpoint then return source.checkpoint:match "([^/]*)%.safetensors$" .. "." .. format end
  local name, variant = require "sm.experiment.directory".names(source.run)
  return ("%s%s.%s"):format(name, variant == "default" and "" or "-" .. variant, format)
end

--- Raises where a file cannot go to its place.
local function check_place(path, again)
  local mode, directory = lfs.symlinkattributes(path, "mode"), path:match "^(.*)/[^/]*$"
  if directory == "" then directory = "/" end
  if directory and lfs.attributes(directory, "mode") ~= "directory" then
    usage.fail("'%s' is no directory%s", directory, paths.hint(directory, "/"))
  elseif mode and mode ~= "file" then
    usage.fail("'%s' is there already, and is no file", path)
  elseif mode and not again then
    usage.fail("'%s' is there already; --again writes it anew, --out FILE another one", path)
  end
end

--- Writes the file, in the worker or in this process.
--- @param work table {source_of=(as sm.cli.predict.source gives it), output=(the path that is written)}
--- @return integer exit code
function M.work(work)
  local run, which = require "sm.cli.predict".open(work.source_of, text.print)
  text.print(("%-10s %s, %s"):format("network", which, work.source_of.run or work.source_of.checkpoint))
  local said = require "sm.onnx".export(work.output, run.model, {
    metadata = work.output:find "%.onnx$" and { experiment = run.name, step = tostring(run.state.step),
      layout = "images are {N, height, width, channels}" } or nil,
  })
  text.print(("%-10s %s"):format(work.output:match "[^.]*$", said))
  return 0
end

--- smrun export
--- @return integer exit code
function M.export(options)
  local format = format_of(options)
  local source = require "sm.cli.predict".source(options.words[1])
  local place = place_of(options, source, format)
  check_place(place, options.again)
  local run = require "sm.cli.run"
  local code = run.is_confined(options) and run.confine {
    what = "export", options = options, source_of = source, run = source.run, checkpoint = source.checkpoint,
    output = place,
  } or M.work { source_of = source, output = place }
  if code == 0 then text.print(("%-10s %s"):format("written", place)) end
  return code
end

return M
