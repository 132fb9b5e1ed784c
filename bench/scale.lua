-- A network of networks.lua as an experiment on random data, for scaling.lua:
--   mpirun -n 2 smrun --mpi --trust --threads 1 bench/scale.lua net=resnet batch=64
local sm = require "sm"
local networks = require "networks"

local p = sm.params { net = "mlp", batch = 100, steps = 60, seed = 1 }
local network = networks[p.net] or error("no such network: " .. p.net, 0)

local EXAMPLES <const> = 1024

return sm.experiment {
  data = sm.data.tensors {
    inputs = sm.rand(EXAMPLES, table.unpack(network.input)), targets = sm.randint(0, network.classes, EXAMPLES),
  },
  model     = network.build(0.5),
  optimizer = sm.optim.adam { lr = 1e-4 },
  schedule  = { steps = p.steps, batch = p.batch, log = p.steps, checkpoint = p.steps },
  seed      = p.seed,
}
