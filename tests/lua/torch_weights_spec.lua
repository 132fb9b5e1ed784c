--- Weights that PyTorch has saved, read as docs/guide/07-trained-network.md says it; skipped by name where there is no
-- PyTorch.
local helpers = dofile "tests/lua/helpers.lua"
local lfs = require "lfs"
local sm = require "sm"
local nn = sm.nn

local function run(command)
  return (os.execute(command .. " >/dev/null 2>&1"))
end

local page <const> = helpers.read "docs/guide/07-trained-network.md"

--- The block of the page in a language that has a text.
local function block(language, text)
  for found in page:gmatch("```" .. language .. "\n(.-)```\n") do
    if found:find(text, 1, true) then return found end
  end
  error("docs/guide/07-trained-network.md has no such block: " .. text)
end

-- What the networks of the page and two further layers give in PyTorch, and their weights as safetensors.
local further <const> = [[
import json, struct
torch.manual_seed(3)
x, tokens, s = torch.randn(4, 1, 28, 28), torch.randint(0, 50, (3, 12)), torch.randn(2, 5, 8)
both = nn.ModuleDict({"gru": nn.GRU(8, 6, batch_first=True), "attention": nn.MultiheadAttention(6, 2, batch_first=True),
                      "norm": nn.BatchNorm1d(6)}).eval()
both["norm"].running_mean.copy_(torch.randn(6))
both["norm"].running_var.copy_(torch.rand(6) + 0.5)
with torch.no_grad():
    read, _ = reader["lstm"](reader["embed"](tokens))
    h, _ = both["gru"](s)
    a, _ = both["attention"](h, h, h)
    numpy.savez("given.npz", x=x.permute(0, 2, 3, 1).numpy(), tokens=tokens.numpy(), s=s.numpy(),
                lenet=lenet(x).numpy(), reader=reader["out"](read).numpy(),
                both=both["norm"](a.permute(0, 2, 1)).permute(0, 2, 1).numpy())
deep = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
h, c = torch.randn(4, 2, 6), torch.randn(4, 2, 6)
y, (hn, cn) = deep(s, (h, c))
y.sum().backward()
turned = {"h": h, "c": c, "hn": hn, "cn": cn}
numpy.savez("deep.npz", **{key: value.numpy() for key, value in deep.state_dict().items()})
numpy.savez("states.npz", y=y.detach().numpy(), gradient=deep.weight_ih_l0_reverse.grad.numpy(),
            **{key: value.detach().permute(1, 0, 2).numpy() for key, value in turned.items()})
header, data = {}, b""
for key, value in both.state_dict().items():
    bytes = value.numpy().tobytes()
    dtype = {"torch.float32": "F32", "torch.int64": "I64"}[str(value.dtype)]
    header[key] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(bytes)]}
    data += bytes
text = json.dumps(header).encode()
open("both.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
]]

describe("weights of PyTorch", function()
  local python, directory
  for _, candidate in ipairs { "/usr/bin/python3", "python3" } do
    python = python or run(candidate .. " -c 'import torch, numpy'") and candidate
  end

  setup(function()
    if not python then return end
    directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
    helpers.write(directory .. "/make.py", block("python", "lenet") .. further)
    assert(os.execute(("cd %s && %s make.py >err 2>&1"):format(helpers.quote(directory), python)),
      "PyTorch did not save")
  end)

  teardown(function()
    if python then os.execute("rm -r " .. helpers.quote(directory)) end
  end)

  --- The model that a block of the page makes from a file.
  local function model_of(name)
    local path <const> = ("%q"):format(directory .. "/" .. name)
    local text = block("lua", name):gsub('"' .. name .. '"', function() return path end)
    return assert(load((text:gsub("print%(.*$", "return model"))))()
  end

  local tests <const> = {
    ["give a LeNet what it gave there"] = function(given)
      return model_of "lenet.npz"(given.x), given.lenet
    end,

    ["give an embedding with an LSTM what they gave there"] = function(given)
      return model_of "reader.npz"(given.tokens), given.reader
    end,

    ["give a GRU, attention and batchnorm what they gave there"] = function(given)
      local model = nn.sequential {
        nn.gru { 6, name = "gru" }, nn.attention { heads = 2, name = "attention" }, nn.batchnorm { name = "norm" },
      }:build { 5, 8 }
      local parts = {
        weight_ih_l0 = "weight", weight_hh_l0 = "recurrent_weight", bias_ih_l0 = "bias", bias_hh_l0 = "recurrent_bias",
        in_proj_weight = "weight", in_proj_bias = "bias", ["out_proj.weight"] = "out_weight",
        ["out_proj.bias"] = "out_bias", running_mean = "mean", running_var = "variance",
      }
      model:load(directory .. "/both.safetensors", {
        names = function(name, w)
          local layer, part = name:match "^(%a+)%.(.*)$"
          if part == "num_batches_tracked" then return nil end
          return layer .. "." .. (parts[part] or part), #w.shape == 2 and w:transpose() or w
        end,
      })
      return model:eval()(given.s), given.both
    end,
  }

  it("give an LSTM of two layers that goes both ways what they gave there", function()
    if not python then return pending "python3-torch is not installed" end
    local model = nn.lstm { 6, layers = 2, bidirectional = true, state = true }:build { 5, 8 }
    model:load(directory .. "/deep.npz", {
      names = function(name, w)
        local base, of, number, way = name:match "^(%a+)_(%a)h_l(%d)(.*)$"
        return (of == "h" and "recurrent_" or "") .. base .. (number == "1" and "_2" or "") .. way,
          #w.shape == 2 and w:transpose() or w
      end,
    })
    local theirs = sm.load(directory .. "/states.npz")
    local y, h, c = model(sm.load(directory .. "/given.npz").s, theirs.h, theirs.c)
    y:sum():backward()
    for name, ours in pairs { y = y, hn = h, cn = c, gradient = model.weight_reverse.grad:transpose() } do
      assert.same(theirs[name].shape, ours.shape)
      assert.is_true((ours:detach() - theirs[name]):abs():max():item() < 2e-5, name)
    end
  end)

  for name, test in pairs(tests) do
    it(name, function()
      if not python then return pending "python3-torch is not installed" end
      local ours, theirs = test(sm.load(directory .. "/given.npz"))
      assert.same(theirs.shape, ours.shape)
      assert.is_true((ours:detach() - theirs):abs():max():item() < 1e-5 * math.max(1, theirs:abs():max():item()))
    end)
  end
end)
