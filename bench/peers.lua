--- What the benchmark compares with, how its programs are started, and whether both compute the same.
local lfs = require "lfs"
local contestant = require "contestant"
local report = require "report"
local capture, must, quote = contestant.capture, contestant.must, contestant.quote

local M = {}

-- Allowed distances between ours and PyTorch's, in parts of its own: of the loss, of the gradients of a parameter, of
-- the loss after a few steps. Rounding moves numbers across the corner of a relu, and a batchnorm makes more of it: of
-- ResNet-20 both are up to 1 % from what PyTorch computes in double.
local ALLOWED <const> = { 1e-5, 0.03, 1e-3 }

--- @param build string the build directory
--- @param python string|nil of the person's own; else whichever has PyTorch and numpy
--- @return table {build, here, python, torch = its version, torch_kernels, onednn, facts}: what is absent is nil
function M.find(build, python)
  local peers = { build = build, here = package.searchpath("peers", package.path):match "^(.*)/",
                  facts = report.smrun_facts(build .. "/smrun") }
  for _, candidate in ipairs(python and { quote(python) } or { "/usr/bin/python3", "python3" }) do
    local text, good = capture(candidate .. " -c 'import numpy, torch; print(torch.__version__)' 2>/dev/null")
    if good then
      peers.python, peers.torch = candidate, text:match "%S+"
      peers.torch_kernels = capture("OPENBLAS_VERBOSE=2 " .. candidate .. " -c 'import torch' 2>&1"):match "Core: (%S+)"
      break
    end
  end
  peers.onednn = lfs.attributes(build .. "/bench/onednn_step") and build .. "/bench/onednn_step"
  return peers
end

--- A command that runs a program of the benchmark in smrun.
function M.ours(peers, threads, program)
  return ("env LUA_PATH=%s %s --trust --threads %d %s/%s"):format(quote(peers.here .. "/?.lua;;"),
    quote(peers.build .. "/smrun"), threads, peers.here, program)
end

--- A command that runs one in PyTorch, in the environment that an expert would set: the processor's own kernels, and
--- freed memory that stays in the process.
function M.theirs(peers, program)
  return ("env OPENBLAS_CORETYPE=%s MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 "
    .. "MALLOC_TOP_PAD_=268435456 %s -B %s/%s"):format(peers.facts.kernel, peers.python, peers.here, program)
end

--- Writes what a network computes to `file`, an .npz, which step.py reads.
function M.write(peers, name, file, threads)
  must(M.ours(peers, threads, ("step.lua net=%s check=%s"):format(name, quote(file))))
end

--- Compares it with what PyTorch computes with the same weights.
--- @return string|nil what differs
function M.difference(peers, name, file, threads)
  for line in must(M.theirs(peers, ("step.py %s %s %d check"):format(name, quote(file), threads))):gmatch "[^\n]+" do
    local layout, i = line:match "^%S+", 0
    for distance in line:gmatch " (%S+)" do
      i = i + 1
      local apart = tonumber(distance)
      if apart ~= apart or apart > ALLOWED[i] then
        return ("%s differs from PyTorch's (%s): the loss, gradients, the loss after steps by %s of theirs"):format(
          name, layout, line:match " (.*)$")
      end
    end
    assert(i == #ALLOWED, line)
  end
end

return M
