--- Data sets and their batches. `sm.data.mnist{validation = 5000}`.
-- @module sm.data
local check = require "sm.check"
local files = require "sm.data.files"
local named = require "sm.data.named"
local noting = require "sm.data.stand_in".noting
local text = require "sm.data.text"
local transform = require "sm.data.transform"

return check.closed({
  mnist = noting("mnist", named.mnist),
  fashion = noting("fashion", named.fashion),
  mnist_mini = noting("mnist_mini", named.mnist_mini),
  idx = noting("idx", files.idx),
  tensors = files.tensors,
  npy = noting("npy", files.npy),
  folder = noting("folder", require "sm.data.folder".folder),
  csv = noting("csv", require "sm.data.csv".csv),
  text = noting("text", text.text, text.complete),
  augment = transform.augment,
}, "sm.data", "data sets")
