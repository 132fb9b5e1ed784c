--- The same network in PyTorch, where it is installed; skipped by name where it is not.
local sm = require "sm"

local function run(command)
  return (os.execute(command .. " >/dev/null 2>&1"))
end

describe("PyTorch", function()
  local python
  for _, candidate in ipairs { "/usr/bin/python3", "python3" } do
    python = python or run(candidate .. " -c 'import torch, numpy'") and candidate
  end

  it("agrees on convolution, grouped softmax, pooling, loss and their gradients", function()
    if not python then
      pending "python3-torch is not installed"
      return
    end
    local directory = os.tmpname()
    os.remove(directory)
    assert(run(("mkdir '%s'"):format(directory)))
    local function path(name) return ("%s/%s.npy"):format(directory, name) end

    sm.seed(5)
    local x, w, b = sm.randn(6, 9, 8, 3), sm.randn(5, 5, 3, 16) * 0.2, sm.randn(16)
    local gy, labels = sm.randn(6, 4, 4, 16), sm.tensor({ 0, 9, 3, 3, 1, 7 }, "uint8")
    for name, tensor in pairs { x = x, w = w, b = b, gy = gy, labels = labels } do sm.save(path(name), tensor) end
    local worked = run(("%s tests/torch_reference.py '%s'"):format(python, directory))

    x:requires_grad()
    w:requires_grad()
    b:requires_grad()
    local pooled = x:conv2d(w, { padding = 2, bias = b }):softmax { groups = 4 }:maxpool2d(2)
    local loss = (pooled:reshape(6, -1):transpose():slice(1, 10):transpose() * 50):cross_entropy(labels)
    loss:backward()
    local ours = {
      pooled = pooled, loss = loss, ["grad-x"] = x.grad, ["grad-w"] = w.grad, ["grad-b"] = b.grad,
      strided = x:conv2d(w, { stride = 2, padding = 1 }), turned = gy:conv2d_transpose(w, { stride = 2, padding = 1 }),
    }
    local exact = require "sm.runtime".real == "float64"
    local message
    for name, tensor in pairs(ours) do
      local theirs = worked and sm.load(path("torch-" .. name))
      if theirs then
        local scale = math.max(1e-3, theirs:abs():max():item())
        local worst = (tensor:detach() - theirs):abs():max():item() / scale
        if worst > (exact and 1e-12 or 2e-5) then message = ("%s differs by %.3g"):format(name, worst) end
        if table.concat(tensor.shape, ",") ~= table.concat(theirs.shape, ",") then message = name .. ": shape" end
      end
    end
    run(("rm -r '%s'"):format(directory))
    assert.is_true(worked, "the reference did not run")
    assert.is_nil(message)
  end)
end)
