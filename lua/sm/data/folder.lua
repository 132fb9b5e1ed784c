--- A data set of PNG pictures, a directory for each class.
-- @module sm.data.folder
local lfs = require "lfs"
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local dataset = require "sm.data.dataset"
local files = require "sm.data.files"
local png = require "sm.png"
local reach = require "sm.reach"
local reading = require "sm.data.reading"
local split = require "sm.data.split"
local tensor = require "sm.tensor"
local transform = require "sm.data.transform"

local M = {}

local OPTIONS <const> = check.spec("data.folder", {
  train = { type = "string", required = true, doc = "the directory of training pictures, CLASS/*.png" },
  test = { type = "string", doc = "the directory of test pictures, of the same classes" },
  validation = files.VALIDATION, channels = png.CHANNELS, transform = transform.option "data.folder",
  size = { type = "table", doc = "{height, width} that the pictures must have" },
  name = { type = "string", default = "folder", doc = "what the data set is called" },
})

--- The PNG files of a class, in the order of their names.
local function pictures_of(directory)
  local paths = {}
  for i, name in ipairs(reading.names(directory)) do
    paths[i] = directory .. "/" .. name
    if not name:lower():find "%.png$" then fail("data.folder: %s is no PNG file", paths[i]) end
  end
  if #paths == 0 then fail("data.folder: the class %s has no pictures", directory) end
  return paths
end

--- The classes of a directory, which are the directories in it.
-- @return names, sorted; what each has, an array of paths
local function classes_of(directory)
  local names, pictures = {}, {}
  for _, name in ipairs(reading.names(directory)) do
    local path = directory .. "/" .. name
    local mode, reason = lfs.attributes(path, "mode")
    if not mode then fail("data.folder: %s", reason) end
    if mode == "directory" then
      names[#names + 1], pictures[name] = name, pictures_of(path)
    elseif name:lower():find "%.png$" then
      fail("data.folder: %s lies beside the directories of the classes; each class has a directory of its own", path)
    end
  end
  if #names == 0 then fail("data.folder: %s has no directories, one for each class", directory) end
  return names, pictures
end

--- All pictures in an order in which every first part has the classes in their proportions: picture i of n stands at
-- (i - 1/2) / n of the whole.
-- @return array of {path=, label=, at=}
local function in_order(names, pictures, labels)
  local all = {}
  for _, name in ipairs(names) do
    local own = pictures[name]
    for i, path in ipairs(own) do
      all[#all + 1] = { path = path, label = labels[name], at = (2 * i - 1) / #own }
    end
  end
  table.sort(all, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.label < b.label
  end)
  return all
end

local function read_split(names, pictures, known, channels)
  local paths, labels = {}, {}
  for i, picture in ipairs(in_order(names, pictures, known)) do paths[i], labels[i] = picture.path, picture.label end
  local images = runtime.io.read_pngs(table.concat(paths, "\0"), channels)
  return split.new(images, tensor.tensor(labels, "int32"))
end

--- Raises unless pictures have the size that is asked for.
local function check_size(directory, images, size)
  local shape = images.shape
  check.plain("data.folder: option 'size'", size)
  if math.type(rawget(size, 1)) ~= "integer" or math.type(rawget(size, 2)) ~= "integer" or rawlen(size) ~= 2 then
    fail("data.folder: option 'size' must be { height, width }")
  elseif shape[2] ~= rawget(size, 1) or shape[3] ~= rawget(size, 2) then
    fail("data.folder: the pictures in %s are %d pixels high and %d wide, and option 'size' says %d and %d", directory,
      shape[2], shape[3], rawget(size, 1), rawget(size, 2))
  end
end

--- data.folder { train = DIR, test = DIR }: pictures of one size, DIR/CLASS/*.png. Classes, sorted by name, become
-- the labels 0, 1, …; files are sorted by name, and the classes are mixed evenly, so that the first `validation`
-- training pictures have each in its proportion. Hidden files are passed over. Pictures of 16 bits a channel are
-- numbers from 0 to 1, others bytes.
function M.folder(given)
  local options = check.options("data.folder", given, OPTIONS)
  local channels = png.check_channels("data.folder", options.channels)
  options.train = reach.to_read(options.train)
  options.test = options.test and reach.to_read(options.test)
  local names, pictures = classes_of(options.train)
  local labels = {}
  for i, name in ipairs(names) do labels[name] = i - 1 end
  local test_names, test_pictures
  if options.test then
    test_names, test_pictures = classes_of(options.test)
    for _, name in ipairs(test_names) do
      if not labels[name] then
        fail("data.folder: %s/%s is a class that %s has not%s", options.test, name, options.train,
          check.suggest(name, names))
      end
    end
  end
  local train = read_split(names, pictures, labels, channels)
  if options.size then check_size(options.train, train.inputs, options.size) end
  return dataset.new {
    name = options.name, train = train, validation = options.validation, classes = #names, class_names = names,
    test = test_names and read_split(test_names, test_pictures, labels, channels), transform = options.transform,
  }
end

return M
