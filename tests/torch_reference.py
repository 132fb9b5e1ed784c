"""Outputs and gradients of a few operations in PyTorch, in double, from the tensors in a directory.
python3 torch_reference.py DIRECTORY: reads NAME.npy, writes torch-NAME.npy. NHWC images and {k, k, in, out} filters
are turned to PyTorch's order and back."""
import sys

import numpy as np
import torch
from torch.nn import functional as F

directory = sys.argv[1]


def load(name):
    return torch.from_numpy(np.load(f"{directory}/{name}.npy").astype(np.float64)).requires_grad_()


def save(name, tensor):
    np.save(f"{directory}/torch-{name}.npy", np.array(tensor.detach().numpy(), order="C"))


x, w, b, gy = load("x"), load("w"), load("b"), load("gy")
labels = torch.from_numpy(np.load(f"{directory}/labels.npy").astype(np.int64))

images, filters = x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1)
y = F.conv2d(images, filters, b, padding=2)
grouped = y.permute(0, 2, 3, 1)
grouped = torch.softmax(grouped.reshape(*grouped.shape[:3], 4, -1), -1).reshape(grouped.shape)
pooled = F.max_pool2d(grouped.permute(0, 3, 1, 2), 2)
save("pooled", pooled.permute(0, 2, 3, 1))
loss = F.cross_entropy(pooled.permute(0, 2, 3, 1).reshape(labels.shape[0], -1)[:, :10] * 50, labels)
save("loss", loss)
loss.backward(retain_graph=True)
for name, leaf in ("x", x), ("w", w), ("b", b):
    save(f"grad-{name}", leaf.grad)
    leaf.grad = None
strided = F.conv2d(images, filters, None, stride=2, padding=1)
save("strided", strided.permute(0, 2, 3, 1))
turned = F.conv_transpose2d(gy.permute(0, 3, 1, 2), filters, None, stride=2, padding=1)
save("turned", turned.permute(0, 2, 3, 1))
