"""Answers jobs from standard input as jobs.lua does, for PyTorch. A job closes with the memory format:
step ACTIVATION OPTIMIZER BATCH THREADS STEPS contiguous|channels_last
evaluate BATCH THREADS TIMES contiguous|channels_last
softmax GROUPS THREADS TIMES contiguous|channels_last"""
import sys
import time

import torch
from torch import nn

from torch_network import Network, optimizer

WARM_STEPS = 3
SETTLE_SECONDS = 0.1  # of calls that are not timed, as in network.lua
TEST_IMAGES = 10000
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def stepper(layout, activation, rule, batch):
    """One whole step on a fixed random batch."""
    torch.manual_seed(1)
    network = Network(activation).to(memory_format=layout)
    updates = optimizer(rule, network)
    x = torch.rand(int(batch), 1, 28, 28).contiguous(memory_format=layout)
    y = torch.randint(0, 10, (int(batch),))

    def step():
        updates.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(x), y).backward()
        updates.step()

    for _ in range(WARM_STEPS):
        step()
    return step


def evaluator(layout, batch):
    """10,000 images of bytes, classified in batches."""
    batch = int(batch)
    network = Network("relu").to(memory_format=layout).eval()
    images = torch.randint(0, 256, (TEST_IMAGES, 1, 28, 28), dtype=torch.uint8)
    labels = torch.randint(0, 10, (TEST_IMAGES,))

    @torch.no_grad()
    def evaluate():
        correct = 0
        for first in range(0, TEST_IMAGES, batch):
            x, y = images[first : first + batch], labels[first : first + batch]
            x = x.to(torch.float32).div_(255).contiguous(memory_format=layout)
            correct += (network(x).argmax(1) == y).sum().item()
        return correct

    return evaluate


def softmax(layout, groups):
    """The first layer's softmax in equal groups of channels, forward and back."""
    groups = int(groups)
    x = torch.randn(50, 32, 28, 28).contiguous(memory_format=layout).requires_grad_()
    gy = torch.randn(50, 32, 28, 28).contiguous(memory_format=layout)

    def both():
        x.grad = None
        if groups == 1:
            torch.softmax(x, 1).backward(gy)
        elif layout == torch.channels_last:  # channels are the last axis in memory: a view splits them
            rows = x.permute(0, 2, 3, 1).reshape(50, 28, 28, groups, 32 // groups)
            torch.softmax(rows, 4).backward(gy.permute(0, 2, 3, 1).reshape(rows.shape))
        else:
            parts = x.view(50, groups, 32 // groups, 28, 28)
            torch.softmax(parts, 2).backward(gy.view(parts.shape))

    return both


def median(work, count):
    """Median milliseconds of count calls, once the program is awake."""
    times, until = [], time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < until:
        work()
    for _ in range(count):
        before = time.perf_counter()
        work()
        times.append((time.perf_counter() - before) * 1e3)
    return sorted(times)[len(times) // 2]


KINDS = {"step": stepper, "evaluate": evaluator, "softmax": softmax}
same, job = None, None
for line in iter(sys.stdin.readline, ""):
    kind, *words, threads, count, layout = line.split()
    what = (kind, words, threads, layout)
    if what != same:
        job = None
        torch.set_num_threads(int(threads))
        job, same = KINDS[kind](LAYOUTS[layout], *words), what
        job()
    print("%.3f" % median(job, int(count)), flush=True)
