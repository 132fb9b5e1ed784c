"""The tutorial's network in PyTorch, and SMORMS3 as its PyTorch users have it."""
import torch
from torch import nn


class Smorms3(torch.optim.Optimizer):
    """Funk 2015, written with tensor operations."""

    def __init__(self, parameters, lr=1e-3, epsilon=1e-16):
        super().__init__(parameters, {"lr": lr, "epsilon": epsilon})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                if not state:
                    state["mem"], state["g"], state["g2"] = (
                        torch.ones_like(w), torch.zeros_like(w), torch.zeros_like(w))
                mem, g, g2 = state["mem"], state["g"], state["g2"]
                r = 1 / (mem + 1)
                g.mul_(1 - r).add_(r * w.grad)
                g2.mul_(1 - r).add_(r * w.grad**2)
                x = g**2 / (g2 + group["epsilon"])
                w.sub_(w.grad * x.clamp(max=group["lr"]) / (g2.sqrt() + group["epsilon"]))
                mem.mul_(1 - x).add_(1)


class Network(nn.Module):
    """Convolutions with relu or softmax over all channels; weights and biases as the tutorial starts them."""

    def __init__(self, activation):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.linear1, self.linear2 = nn.Linear(3136, 1024), nn.Linear(1024, 10)
        self.dropout = nn.Dropout(0.5)
        self.activation = {"relu": torch.relu, "softmax": lambda x: torch.softmax(x, 1)}[activation]
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(parameter, 0.1)
            else:
                nn.init.trunc_normal_(parameter, std=0.1, a=-0.2, b=0.2)

    def forward(self, x):
        pool = nn.functional.max_pool2d
        x = pool(self.activation(self.conv1(x)), 2)
        x = pool(self.activation(self.conv2(x)), 2)
        return self.linear2(self.dropout(torch.relu(self.linear1(x.flatten(1)))))


def optimizer(rule, network):
    """The optimizer by name, with the rate that it is used with."""
    if rule == "adam":
        return torch.optim.Adam(network.parameters(), 1e-4)
    return {"smorms3": Smorms3}[rule](network.parameters())
