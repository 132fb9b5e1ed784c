--- Networks: layers, containers and initialisers. What every layer can do is described in sm.nn.layer.
local activation = require "sm.nn.activation"
local check = require "sm.check"
local container = require "sm.nn.container"
local conv = require "sm.nn.conv"
local pooling = require "sm.nn.pooling"
local plain = require "sm.nn.plain"
local recurrent = require "sm.nn.recurrent"

return check.closed({
  layer = require "sm.nn.own",
  sequential = container.sequential,
  residual = container.residual,
  branch = container.branch,
  concat = container.concat,
  add = container.add,
  conv1d = conv.conv1d,
  conv2d = conv.conv2d,
  conv2d_transpose = conv.conv2d_transpose,
  upsample2d = require "sm.nn.upsample",
  linear = require "sm.nn.linear",
  embedding = require "sm.nn.embedding",
  rnn = recurrent.rnn,
  gru = recurrent.gru,
  lstm = recurrent.lstm,
  attention = require "sm.nn.attention",
  softmax = activation.softmax,
  relu = activation.relu,
  sigmoid = activation.sigmoid,
  tanh = activation.tanh,
  softplus = activation.softplus,
  maxpool2d = pooling.maxpool2d,
  avgpool2d = pooling.avgpool2d,
  global_maxpool = pooling.global_maxpool,
  global_avgpool = pooling.global_avgpool,
  batchnorm = require "sm.nn.batchnorm",
  flatten = plain.flatten,
  reshape = plain.reshape,
  dropout = plain.dropout,
  fn = plain.fn,
  init = require "sm.nn.initialise",
}, "sm.nn", "layers, and init")
