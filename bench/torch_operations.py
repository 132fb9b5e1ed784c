"""Answers jobs from standard input as operation_jobs.lua does, for PyTorch, with the files that it wrote:
check NAME                                     how far the results are apart, in parts of the largest number
time contiguous|channels_last NAME COUNT       median milliseconds of forward and back"""
import math
import sys

import numpy as np
import torch
from torch.nn import functional as F

from timing import median

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
directory = sys.argv[1]


class Case:
    """One line of operation_cases.lua, its inputs in PyTorch's order of axes."""

    def __init__(self, name, layout):
        self.name, self.layout = name, layout
        with open(f"{directory}/{name}.txt") as file:
            self.expression, images, filters, fixed, positions, random, inputs = file.read().splitlines()
        self.images, self.filters, self.random, self.inputs = images.split(), filters.split(), random, {}
        for key in inputs.split():
            x = self.order(key, self.load(f"in-{key}"))
            if key in positions.split():
                x = x - 1
            if x.is_floating_point() and key not in fixed.split():
                x.requires_grad_()
            self.inputs[key] = x
        self.code = compile(self.expression, name, "eval")
        self.gy = None

    def load(self, kind):
        x = torch.from_numpy(np.load(f"{directory}/{self.name}-{kind}.npy"))
        return x if x.is_floating_point() else x.long()

    def order(self, key, x):
        """A tensor in our order of axes as PyTorch has it."""
        if key in self.images:
            return self.turn(x)
        if key not in self.filters:
            return x
        return (x.permute(3, 2, 0, 1) if x.dim() == 4 else x.permute(2, 1, 0)).contiguous()

    def turn(self, x):
        """Channels behind the examples; of sequences PyTorch has one format."""
        return x.permute(0, 3, 1, 2).contiguous(memory_format=self.layout) if x.dim() == 4 else x.mT.contiguous()

    def back(self, key, x):
        if key in self.images:
            return self.turned_back(x)
        if key not in self.filters:
            return x
        return x.permute(2, 3, 1, 0) if x.dim() == 4 else x.permute(2, 1, 0)

    def turned_back(self, x):
        return x.permute(0, 2, 3, 1) if x.dim() == 4 else x.mT

    def result(self):
        return eval(self.code, {"torch": torch, "F": F, "math": math, **self.inputs})

    def work(self):
        for x in self.inputs.values():
            x.grad = None
        y = self.result()
        if y.requires_grad:
            if self.gy is None:
                gy = self.load("gy")
                self.gy = self.turn(gy) if self.turned(y) else gy
            y.backward(self.gy.reshape(y.shape))
        return y

    def turned(self, y):
        return bool(self.images) and y.dim() == self.inputs[self.images[0]].dim()

    def apart(self):
        y = self.work().detach()
        if self.random:
            return 0
        pairs = [(self.turned_back(y) if self.turned(y) else y, self.load("y"))]
        for key, x in self.inputs.items():
            if x.grad is not None:
                pairs.append((self.back(key, x.grad), self.load(f"grad-{key}")))
        return max(distance(theirs, ours.reshape(theirs.shape)) for theirs, ours in pairs)


def distance(a, b):
    scale = max(b.double().abs().max().item(), 1e-30) if b.numel() else 1
    return (a.double() - b.double()).abs().max().item() / scale if b.numel() else 0


same, case = None, None
for line in iter(sys.stdin.readline, ""):
    kind, *words = line.split()
    if kind == "check":
        print("%.3g" % Case(words[0], LAYOUTS["contiguous"]).apart(), flush=True)
        continue
    if words[:2] != same:
        case, same = Case(words[1], LAYOUTS[words[0]]), words[:2]
    print("%.4f" % median(case.work, int(words[2])), flush=True)
