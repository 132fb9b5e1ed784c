"""Outputs and gradients of single operations in PyTorch, in double. python3 torch_records.py DIRECTORY: evaluates each
line "NAME<tab>EXPRESSION" of cases.txt with the tensors in NAME.npy there, and writes torch-NAME.npy, or torch-NAME-K.npy
for each of several results. The first result is projected on cosines, and what that leaves in x.grad and y.grad is
written as grad-x-NAME.npy and grad-y-NAME.npy."""
import glob
import math
import os
import sys

import numpy as np
import torch
from torch.nn import functional as F

directory = sys.argv[1]
tensors = {"torch": torch, "F": F, "math": math}
for path in glob.glob(f"{directory}/*.npy"):
    array = np.load(path)
    kind = np.float64 if array.dtype.kind == "f" else np.int64
    tensors[os.path.basename(path)[:-4]] = torch.from_numpy(array.astype(kind))


def save(name, tensor):
    array = tensor.detach().numpy()
    array = array.astype(np.int32) if array.dtype.kind in "ib" else array
    np.save(f"{directory}/{name}.npy", np.array(array, order="C"))


with open(f"{directory}/cases.txt") as file:
    cases = [line.rstrip("\n").split("\t") for line in file]
for name, expression in cases:
    leaves = {key: tensors[key].clone().requires_grad_() for key in ("x", "y")}
    result = eval(expression, {**tensors, **leaves})
    results = [result] if torch.is_tensor(result) else list(result)
    for k, one in enumerate(results):
        save(f"torch-{name}-{k + 1}", one)
    first = results[0]
    if first.requires_grad:
        weights = torch.cos(torch.arange(first.numel(), dtype=torch.float64)).reshape(first.shape)
        (first * weights).sum().backward()
        for key, leaf in leaves.items():
            if leaf.grad is not None:
                save(f"grad-{key}-{name}", leaf.grad)
