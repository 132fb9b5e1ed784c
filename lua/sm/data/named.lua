--- The data sets that have a name: mnist, fashion, mnist_mini.
-- @module sm.data.named
local runtime = require "sm.runtime"
local check = require "sm.check"
local fail = require "sm.fail"
local catalogue = require "sm.data.catalogue"
local dataset = require "sm.data.dataset"
local files = require "sm.data.files"
local search = require "sm.data.search"
local transform = require "sm.data.transform"
local usage = require "sm.usage"

local M = {}

local CLASSES <const> = 10
local FULL_TRAIN <const>, MINI_TRAIN <const> = 60000, 5000

local OPTIONS <const> = {
  validation = { type = "integer", default = 0, min = 0, max = FULL_TRAIN,
    doc = "how many of the first training images become validation; the tutorial's: 5000" },
}
for _, name in ipairs { "mnist", "fashion", "mnist_mini" } do
  check.spec("data." .. name, OPTIONS)
  OPTIONS.transform = transform.option("data." .. name)
end

--- Whether a file of labels begins with these.
local function begins_with(labels_path, first_labels)
  local labels = runtime.io.read_idx(labels_path)
  if #labels.shape ~= 1 or #labels < #first_labels then return false end
  local given = runtime.tensor.totable(runtime.tensor.slice(labels, 1, #first_labels))
  return table.concat(given, " ") == table.concat(first_labels, " ")
end

--- The other data set whose files these are, or nil. All have the same names and sizes, so that a directory
-- of one would pass for the other.
local function mistaken(paths, name)
  for other, entry in pairs(catalogue) do
    if other ~= name and begins_with(paths[4], entry.first_labels) then return other end
  end
end

--- Reads four IDX files in the catalogue's order.
local function read(name, paths, options, class_names, note)
  return dataset.new {
    name = name,
    train = files.read_split(paths[1], paths[2], CLASSES),
    test = files.read_split(paths[3], paths[4], CLASSES),
    validation = options.validation, transform = options.transform,
    classes = CLASSES, class_names = class_names, note = note,
  }
end

local function find(name)
  local entry, looked = catalogue[name], {}
  for _, directory in ipairs(search.directories(name, entry.shared)) do
    local paths = search.files(directory, entry.files)
    local other = paths and mistaken(paths, name)
    if paths and not other then return paths end
    local note = other and (" (which has %s)"):format(other)
      or directory == entry.shared and (" (`apt install %s` puts them there)"):format(entry.debian)
    looked[#looked + 1] = directory .. (note or "")
  end
  fail("data.%s: its files are in none of %s; `%s data %s` fetches them", name, table.concat(looked, ", "),
    usage.program(), name)
end

local function named(name)
  return function(given)
    local options = check.options("data." .. name, given, OPTIONS)
    return read(name, find(name), options, catalogue[name].class_names)
  end
end

--- data.mnist { validation = 5000 }: MNIST, 60,000 training and 10,000 test images of handwritten digits, {28, 28, 1}.
-- `smrun data mnist` fetches it.
M.mnist = named "mnist"

--- data.fashion { validation = 5000 }: Fashion-MNIST, images of ten kinds of clothing in the same sizes as MNIST.
-- `smrun data fashion` fetches it.
M.fashion = named "fashion"

--- data.mnist_mini { validation = 5000 }: a scale model of MNIST that comes with the library, 5,000 training and 1,000
-- test images, spread evenly over the real ones. Counts are given for the real data set and scaled down with it:
-- validation = 5000 gives 417.
function M.mnist_mini(given)
  local options = check.options("data.mnist_mini", given, OPTIONS)
  local directories = search.mini_directories()
  for _, directory in ipairs(directories) do
    local paths = search.files(directory, catalogue.mnist.files)
    if paths then
      options.validation = math.floor(options.validation * MINI_TRAIN / FULL_TRAIN + 0.5)
      local note = not search.places().only and "a scale model of mnist, counts scaled by 1/12" or nil
      return read("mnist_mini", paths, options, nil, note)
    end
  end
  fail("data.mnist_mini: its files are missing%s: they are in none of %s", search.places().only and ""
    or " from the installation", table.concat(directories, ", "))
end

return M
