"""The same as step.lua in PyTorch, with what it wrote to FILE:
step.py NET FILE.npz THREADS contiguous|channels_last|compiled   answers "time COUNT" and "peak"
step.py NET FILE.npz THREADS check                               how far apart the results are; see `apart`"""
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from networks import NETWORKS
from timing import median

WARM, FEW = 3, 5
RATE = 1e-4


def in_order(network, arrays):
    """Arrays of networks.lua as this network has them: filters {height, width, in, out} as {out, in, height, width},
    matrices turned, and where pixels become a row, channels before their pixels."""
    arrays, channels, flat, found = list(arrays), None, False, []
    for module in network.modules():
        flat = flat or isinstance(module, nn.Flatten)
        for parameter in module.parameters(recurse=False):
            x = torch.from_numpy(arrays[len(found)])
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and x.dim() == 4:
                x, channels = x.permute(3, 2, 0, 1), module.out_channels
            elif isinstance(module, (nn.Linear, nn.LSTM)) and x.dim() == 2:
                if flat and channels:
                    x, channels = x.reshape(-1, channels, x.shape[1]).transpose(0, 1).flatten(0, 1), None
                x = x.t()
            assert x.shape == parameter.shape, (module, x.shape, parameter.shape)
            found.append(x)
    assert len(found) == len(arrays), (len(found), len(arrays))
    return found


class Training:
    def __init__(self, name, file, layout, dropout):
        data = np.load(file)
        self.data, self.network = data, NETWORKS[name](dropout)
        for parameter, x in zip(self.network.parameters(), in_order(self.network, self.arrays("w"))):
            parameter.data.copy_(x)
        x, y = torch.from_numpy(data["x"]), torch.from_numpy(data["y"]).long()
        self.x = x.permute(0, 3, 1, 2).contiguous() if x.dim() == 4 else x if x.is_floating_point() else x.long()
        self.y, model = y, self.network
        if layout != "contiguous" and self.x.dim() == 4:
            model.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.model = torch.compile(model) if layout == "compiled" else model
        fused = {"fused": True} if torch.__version__ >= "2.4" else {}
        self.optimizer = torch.optim.Adam(model.parameters(), RATE, **fused)

    def arrays(self, letter):
        return [self.data[key] for key in sorted(self.data.files) if key[0] == letter and key[1:].isdigit()]

    def loss(self):
        scores = self.model(self.x)
        if scores.dim() == 3:
            return F.cross_entropy(scores.flatten(0, 1), self.y.flatten())
        return F.cross_entropy(scores, self.y)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()


def apart(one):
    """How far the other's results are, each in parts of its own size: the loss, the gradient of each parameter (or of
    a hundredth of all of them together, where that is more), the loss after a few steps."""
    loss = one.loss()
    loss.backward()
    ours = [p.grad.double() for p in one.network.parameters()]
    theirs = [g.double() for g in in_order(one.network, one.arrays("g"))]
    whole = torch.stack([g.norm() for g in ours]).norm()
    worst = max(((a - b).norm() / max(a.norm(), whole / 100)).item() for a, b in zip(ours, theirs))
    for _ in range(FEW):
        one.step()
    losses = [(loss, "loss"), (one.loss(), "after")]
    near = [abs(a.item() - float(one.data[key])) / abs(a.item()) for a, key in losses]
    return near[0], worst, near[1]


def peak():
    with open("/proc/self/status") as file:
        return next(float(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e6


name, file, threads, layout = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(1)
if layout == "check":
    for each in "contiguous", "channels_last":
        print(each, *("%.3g" % number for number in apart(Training(name, file, each, 0.0))))
    sys.exit()
one = Training(name, file, layout, 0.5)
for _ in range(WARM):
    one.step()
for line in iter(sys.stdin.readline, ""):
    words = line.split()
    print("%.4f" % (median(one.step, int(words[1])) if words[0] == "time" else peak()), flush=True)
