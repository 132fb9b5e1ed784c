"""The same step in PyTorch: prints the median in milliseconds.
python3 torch_step.py activation optimizer batch steps threads memory_format(contiguous|channels_last)"""
import sys
import time

import torch
from torch import nn

activation, optimizer, batch, steps, threads, memory_format = sys.argv[1:7]
torch.set_num_threads(int(threads))
batch, steps = int(batch), int(steps)
layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format


class Smorms3(torch.optim.Optimizer):
    """Funk 2015, written with tensor operations, as its PyTorch users have it."""

    def __init__(self, parameters, lr=1e-3, epsilon=1e-16):
        super().__init__(parameters, {"lr": lr, "epsilon": epsilon})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                if not state:
                    state["mem"], state["g"], state["g2"] = torch.ones_like(w), torch.zeros_like(w), torch.zeros_like(w)
                mem, g, g2 = state["mem"], state["g"], state["g2"]
                r = 1 / (mem + 1)
                g.mul_(1 - r).add_(r * w.grad)
                g2.mul_(1 - r).add_(r * w.grad**2)
                x = g**2 / (g2 + group["epsilon"])
                w.sub_(w.grad * x.clamp(max=group["lr"]) / (g2.sqrt() + group["epsilon"]))
                mem.mul_(1 - x).add_(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.linear1, self.linear2 = nn.Linear(3136, 1024), nn.Linear(1024, 10)

    def forward(self, x):
        act = torch.relu if activation == "relu" else (lambda v: torch.softmax(v, 1))
        pool = nn.functional.max_pool2d
        x = pool(act(self.conv1(x)), 2)
        x = pool(act(self.conv2(x)), 2)
        x = torch.relu(self.linear1(x.flatten(1)))
        return self.linear2(nn.functional.dropout(x, 0.5))


torch.manual_seed(1)
net = Net().to(memory_format=layout)
rule = torch.optim.Adam(net.parameters(), 1e-4) if optimizer == "adam" else Smorms3(net.parameters())
x = torch.rand(batch, 1, 28, 28).contiguous(memory_format=layout)
y = torch.randint(0, 10, (batch,))
times = []
for step in range(5 + steps):
    before = time.perf_counter()
    rule.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(net(x), y).backward()
    rule.step()
    if step >= 5:
        times.append((time.perf_counter() - before) * 1e3)
print("%.3f" % sorted(times)[len(times) // 2])
