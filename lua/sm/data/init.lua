--- Data sets and their batches. `sm.data.mnist{validation = 5000}`.
-- @module sm.data
local check = require "sm.check"
local files = require "sm.data.files"
local named = require "sm.data.named"
local transform = require "sm.data.transform"

return check.closed({
  mnist = named.mnist,
  fashion = named.fashion,
  mnist_mini = named.mnist_mini,
  idx = files.idx,
  tensors = files.tensors,
  npy = files.npy,
  folder = require "sm.data.folder".folder,
  csv = require "sm.data.csv".csv,
  text = require "sm.data.text".text,
  augment = transform.augment,
}, "sm.data", "data sets")
