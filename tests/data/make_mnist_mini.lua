--- Cuts tests/data/mnist_mini out of the real MNIST: every 12th training image and every 10th test image.
-- Run from the repository's root, with LUA_PATH and LUA_CPATH set, after `smrun data mnist`:
--   lua5.4 tests/data/make_mnist_mini.lua
local sm = require "sm"
local runtime = require "sm.runtime"
local catalogue = require "sm.data.catalogue"

local destination <const> = "tests/data/mnist_mini"
local gather_limit <const> = 4096 -- bytes given to string.char at once

--- Every `step`th row of a tensor, from the first.
local function every(x, step)
  return runtime.tensor.gather(x, sm.arange(0, #x, step, "int32"), 0, math.ceil(#x / step))
end

--- The content of an IDX file that holds a uint8 tensor.
local function idx(x)
  local parts = { string.pack("BBBB", 0, 0, 8, #x.shape) }
  for _, size in ipairs(x.shape) do parts[#parts + 1] = string.pack(">I4", size) end
  local bytes = x:reshape(-1):totable()
  for first = 1, #bytes, gather_limit do
    parts[#parts + 1] = string.char(table.unpack(bytes, first, math.min(first + gather_limit - 1, #bytes)))
  end
  return table.concat(parts)
end

--- Writes images {N, 28, 28, 1} and labels {N} as compressed IDX files, without a time stamp.
local function write(split, step, image_file, label_file)
  local images, labels = every(split.inputs, step), every(split.targets, step):to "uint8"
  local rows, height, width = table.unpack(images.shape)
  local content = { [image_file.name] = images:reshape(rows, height, width), [label_file.name] = labels }
  for name, x in pairs(content) do
    local pipe = assert(io.popen(("gzip -9n > %s/%s.gz"):format(destination, name), "w"))
    pipe:write(idx(x))
    assert(pipe:close())
  end
end

local mnist = sm.data.mnist {}
local files = catalogue.mnist.files
assert(os.execute("mkdir -p " .. destination))
write(mnist.train, 12, files[1], files[2])
write(mnist.test, 10, files[3], files[4])
