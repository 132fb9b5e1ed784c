"""The same question as accuracy.lua to PyTorch, with the tutorial's recipe: relu, Adam 1e-4, batch 50.
python3 torch_accuracy.py DIRECTORY STEPS EVERY THREADS contiguous|channels_last
DIRECTORY holds MNIST's four files as IDX, not compressed. Prints what accuracy.lua prints."""
import sys
import time

import numpy as np
import torch
from torch import nn

from networks import NETWORKS

LEVELS = [98, 99, 99.2]
BATCH, VALIDATION, TEST_BATCH = 50, 5000, 250

directory, steps, every, threads, layout = sys.argv[1:6]
steps, every = int(steps), int(every)
layout = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[layout]
torch.set_num_threads(int(threads))
torch.manual_seed(1)


def read(name, header):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}", np.uint8)[header:].copy())


train_x = read("train-images-idx3-ubyte", 16).view(-1, 1, 28, 28)[VALIDATION:]
train_y = read("train-labels-idx1-ubyte", 8)[VALIDATION:].long()
test_x = read("t10k-images-idx3-ubyte", 16).view(-1, 1, 28, 28)
test_y = read("t10k-labels-idx1-ubyte", 8).long()

network = NETWORKS["tutorial"](0.5).to(memory_format=layout)
for name, parameter in network.named_parameters():
    if name.endswith("bias"):
        nn.init.constant_(parameter, 0.1)
    else:
        nn.init.trunc_normal_(parameter, std=0.1, a=-0.2, b=0.2)
updates = torch.optim.Adam(network.parameters(), 1e-4)


def images(x):
    return x.to(torch.float32).div_(255).contiguous(memory_format=layout)


def batches():
    """Reshuffled each epoch; batches straddle epochs."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(train_x))])
        index, order = order[:BATCH], order[BATCH:]
        yield images(train_x[index]), train_y[index]


def train(source, count):
    before = time.perf_counter()
    for _ in range(count):
        x, y = next(source)
        updates.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(x), y).backward()
        updates.step()
    return time.perf_counter() - before


@torch.no_grad()
def test_percent():
    network.eval()
    correct = sum(
        (network(images(x)).argmax(1) == y).sum().item()
        for x, y in zip(test_x.split(TEST_BATCH), test_y.split(TEST_BATCH))
    )
    network.train()
    return 100 * correct / len(test_y)


source = batches()
seconds, step, reached, percent = 0.0, 0, 0, 0.0
while step < steps and reached < len(LEVELS):
    count = min(every, steps - step)
    seconds, step = seconds + train(source, count), step + count
    if step % every == 0:
        percent = test_percent()
    while reached < len(LEVELS) and percent >= LEVELS[reached]:
        print(f"{LEVELS[reached]}\t{step}\t{seconds:.1f}", flush=True)
        reached += 1
print(f"end\t{step}\t{1e3 * seconds / step:.2f} {percent:.2f}")
