-- One training step of the tutorial's network on random images, timed: prints the median in milliseconds.
--   smrun --threads 2 tests/bench/step.lua activation=softmax optimizer=smorms3 batch=50 steps=30
local sm = require "sm"
local network = require "network"

local p = sm.params { activation = "relu", optimizer = "adam", batch = 50, steps = 30 }
print(("%.3f"):format(network.time(network.stepper(p.activation, p.optimizer, p.batch), p.steps)))
