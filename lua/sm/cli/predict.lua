--- smrun predict RUN|model.safetensors FILE.png…|DIR: what a trained network makes of pictures.
local lfs = require "lfs"
local host = require "sm.cli.host"
local names_in = require "sm.data.reading".names
local paths = require "sm.cli.paths"
local usage = require "sm.usage"

local M = {}

local best <const> = "best.safetensors"
local most_pictures <const> = 100000

local function is_picture(name)
  return name:lower():find "%.png$" ~= nil
end

local function check_count(list, where)
  if #list > most_pictures then usage.fail("%s has more than %d pictures", where, most_pictures) end
end

--- Adds the pictures that lie in a directory.
--- @param truth string|nil the class of all of them
local function add_files(list, directory, truth)
  for _, name in ipairs(names_in(directory)) do
    local path = directory .. "/" .. name
    if is_picture(name) and lfs.attributes(path, "mode") == "file" then
      list[#list + 1] = { path = path, name = path, truth = truth }
    end
  end
end

--- The pictures in a directory of directories, whose names are their classes; nil where there are none.
--- @return table|nil array as pictures_of gives it
function M.by_class(directory)
  local list, path, loose, others = {}, directory:gsub("(.)/+$", "%1"), nil, false
  for _, class in ipairs(names_in(path)) do
    local inner = path .. "/" .. class
    if lfs.attributes(inner, "mode") == "directory" then add_files(list, inner, class)
    elseif is_picture(class) then loose = loose or class
    else others = others or class:find "ubyte" ~= nil end
    check_count(list, "'" .. directory .. "'")
  end
  if #list == 0 and loose and not others then
    usage.fail("'%s' has pictures ('%s'), but of which class they are is not said: eval takes a directory for each "
      .. "class; predict takes them as they are", directory, loose)
  end
  return #list > 0 and list or nil
end

--- Adds the pictures of a directory; where it has none itself, those of its directories.
local function add_directory(list, directory)
  local before = #list
  add_files(list, directory)
  if #list > before then return end
  local found = M.by_class(directory)
    or usage.fail("'%s' has no PNG files, neither itself nor in its directories", directory)
  table.move(found, 1, #found, #list + 1, list)
end

--- The pictures that words name, in their order.
--- @return table array of {path=, name=, truth=(the class that its directory says, or nil)}
--- @return table the paths that are to be read: directories, and files
local function pictures_of(words)
  local list, read = {}, {}
  for i = 2, #words do
    local path = words[i]
    local mode = lfs.attributes(path, "mode")
    if not mode then usage.fail("no such file or directory '%s'%s", path, paths.hint(path, ".png")) end
    path = path:gsub("(.)/+$", "%1")
    read[#read + 1] = path
    if mode == "directory" then
      add_directory(list, path)
    elseif mode == "file" and is_picture(path) then
      list[#list + 1] = { path = path, name = path }
    else
      usage.fail("'%s' is no PNG file; other pictures must be converted to PNG first", path)
    end
    check_count(list, "the command")
  end
  return list, read
end

--- What the first word names: a run directory, one of its checkpoints, or a checkpoint that lies anywhere.
--- @return table {run=, name=(of the checkpoint in it, or nil)} or {checkpoint=(path)}
function M.source(word)
  local path = word:gsub("(.)/+$", "%1")
  if lfs.attributes(path, "mode") == "file" and path:find "%.safetensors$" then
    local run, name = path:match "^(.*)/checkpoints/([^/]+)$"
    if run and not require "sm.experiment.directory".problem(run) then return { run = run, name = name } end
    return { checkpoint = path }
  end
  local mode = lfs.attributes(path, "mode")
  if not mode and path:find "%.safetensors$" then
    usage.fail("no such file '%s'%s", path, paths.hint(path, ".safetensors"))
  elseif mode == "file" then
    usage.fail("'%s' is neither a run directory nor a checkpoint, whose name ends in .safetensors%s", path,
      paths.below(path))
  end
  paths.check_run(path)
  return { run = path }
end

local function count(name, given)
  local number = math.tointeger(tonumber(given))
  if not number or number < 1 or number > 1000000 then
    usage.fail("option '--%s' must be an integer of at least 1, got '%s'", name, given)
  end
  return number
end

-- In the worker, or with --trust in this process -------------------------------------------------------------------

--- The names of the checkpoints of a run that may be taken, the one that is wanted first.
local function names_of(run)
  local directory = require "sm.experiment.directory"
  local files = require "sm.experiment.checkpoint_files"
  if directory.list(run, "checkpoints")[best] then return { best } end
  local names = {}
  for i, step in ipairs(files.steps(run)) do names[i] = files.name(step):match "[^/]*$" end
  return #names > 0 and names or error(("%s has no checkpoint yet"):format(run), 0)
end

--- Reads the checkpoint of a run: the best, else the newest that can be read.
local function read_of_run(source, say)
  local portable, attempt = require "sm.experiment.portable", require "sm.problem".attempt
  local names = source.name and { source.name } or names_of(source.run)
  local first
  for _, name in ipairs(names) do
    local ok, found = attempt(portable.read, ("%s/checkpoints/%s"):format(source.run, name), #source.run)
    if ok then return found, name end
    first = first or found
    if #names > 1 then say("passed over a checkpoint that cannot be read: " .. tostring(found)) end
  end
  error(first, 0)
end

--- The run of a directory whose checkpoints say nothing of the data: its data are loaded.
local function from_directory(source, name, step)
  local loaded = require "sm.experiment.load".run_directory(source.run, require "sm.cli.traceback".handler)
  if not loaded.experiment then error(("%s/experiment.lua trains no run"):format(source.run), 0) end
  local run = require "sm.experiment".restored(loaded.experiment, {
    directory = source.run, source = loaded.source, params = loaded.params, quiet = true,
  }, "smrun predict", name == best and "best" or step)
  run.described = require "sm.data.stand_in".describe(run.data)
  run.model:eval()
  return run
end

--- The run of a source, with its weights.
--- @return table run
--- @return string which weights these are
local function open(source, say)
  local portable = require "sm.experiment.portable"
  local found, name
  if source.run then found, name = read_of_run(source, say)
  else found, name = portable.read(source.checkpoint), source.checkpoint:match "[^/]*$" end
  local run
  if source.run and portable.lacks(found) then
    run = from_directory(source, name, found.step)
  else
    run = portable.restore(found, function(experiment, loaded, text_name)
      return require "sm.experiment".revived(experiment, loaded, text_name, true)
    end)
  end
  if source.run then run.name = require "sm.experiment.directory".names(source.run) end
  local which = name == best and "best weights" or source.name and "checkpoint" or source.run and "last checkpoint"
    or "checkpoint"
  return run, ("%s, after step %d"):format(which, found.step)
end

M.open = open

local function widest(names)
  local width = 0
  for _, name in ipairs(names) do
    width = math.max(width, require "sm.text".width(require "sm.text".visible(name)))
  end
  return math.min(width, 200)
end

--- @param work table {source_of=(as M.source gives it), pictures=, options=}
--- @return integer exit code
function M.work(work)
  local source = work.source_of
  local predict = require "sm.experiment.predict"
  local screen = host.predictions(work.pictures, work.options)
  local lines = {}
  local run, which = open(source, function(line) lines[#lines + 1] = line end)
  local reading, wanted = predict.reading(run), predict.wanted(run)
  table.insert(lines, 1, ("%s   %s   %s"):format(run.name, which, source.run or source.checkpoint))
  lines[#lines + 1] = "pictures   " .. wanted.words
  lines[#lines + 1] = reading.why and "values     " .. reading.why or nil
  screen:begin { kind = reading.kind, classes = #reading.classes, widest = widest(reading.classes), lines = lines }
  local options = work.options
  predict.pictures(run, reading, work.pictures, {
    grey = options.grey, resize = options.resize, invert = options.invert, most = screen.most or #reading.classes,
  }, function(_, rows, done) screen:one(rows, done) end)
  screen:finish()
  return 0
end

--- Evaluates on pictures, in the worker or this process.
--- @return integer exit code
function M.evaluate_work(work)
  local predict, print = require "sm.experiment.predict", require "sm.text".print
  local source, lines = work.source_of, {}
  local run, which = open(source, function(line) lines[#lines + 1] = line end)
  for _, line in ipairs(lines) do print(line) end
  local result = predict.evaluate(run, work.pictures, work.options)
  print(("%-10s %s   %s"):format(run.name, which, source.run or source.checkpoint))
  print(("%-10s %s: %d pictures of %d classes%s"):format("data", work.options.data, #work.pictures, result.classes,
    result.done ~= "" and " (" .. result.done .. ")" or ""))
  local figures = require "sm.numbers".figures(result.loss, result.accuracy, result.metrics)
  print(("%-10s %s"):format("result", figures ~= "" and figures or "nothing is measured"))
  return 0
end

--- smrun eval RUN --data DIR, where that has pictures.
--- @param pictures table as M.by_class gives them
--- @return integer exit code
function M.evaluate(options, pictures)
  local source = M.source(options.words[1])
  local work = {
    what = "evaluate_pictures", options = options, source_of = source, run = source.run,
    checkpoint = source.checkpoint, pictures = pictures, read = { options.data },
  }
  local run = require "sm.cli.run"
  return run.is_confined(options) and run.confine(work) or M.evaluate_work(work)
end

--- smrun predict
--- @return integer exit code
function M.predict(options)
  if options.top then options.top = count("top", options.top) end
  local source = M.source(options.words[1])
  local pictures, read = pictures_of(options.words)
  local work = {
    what = "predict", options = options, source_of = source, run = source.run, checkpoint = source.checkpoint,
    pictures = pictures, read = read,
  }
  local run = require "sm.cli.run"
  if not run.is_confined(options) then return M.work(work) end
  return run.confine(work)
end

return M
