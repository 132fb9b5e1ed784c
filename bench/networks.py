"""The networks of networks.lua in PyTorch, line by line."""
import torch
from torch import nn
from torch.nn import functional as F

ReLU, Flatten, Linear = nn.ReLU, nn.Flatten, nn.Linear


def pool():
    return nn.MaxPool2d(2)


def norm(channels):
    return nn.BatchNorm2d(channels)


def conv(channels, filters, kernel, **more):
    return nn.Conv2d(channels, filters, kernel, **{"padding": kernel // 2, **more})


class Groups(nn.Module):
    """Softmax over equal groups of channels."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        if self.groups == 1:
            return torch.softmax(x, 1)
        return torch.softmax(x.unflatten(1, (self.groups, -1)), 2).flatten(1, 2)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Mean(nn.Module):
    """Of every channel."""

    def forward(self, x):
        return x.mean((2, 3))


def tutorial(first, second):
    return lambda dropout: nn.Sequential(
        conv(1, 32, 5), first(), pool(), conv(32, 64, 5), second(), pool(), Flatten(), Linear(3136, 1024), ReLU(),
        nn.Dropout(dropout), Linear(1024, 10))


def lenet(_):
    return nn.Sequential(
        conv(1, 6, 5), ReLU(), pool(), conv(6, 16, 5, padding=0), ReLU(), pool(), Flatten(),
        Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10))


def vgg(activation):
    def build(_):
        layers, channels = [], 3
        for filters in (64, 128, 256):
            layers += [conv(channels, filters, 3), activation(), conv(filters, filters, 3), activation(), pool()]
            channels = filters
        return nn.Sequential(*layers, Flatten(), Linear(4096, 10))

    return build


def resnet(_):
    layers, channels = [], 3
    for stage, n in enumerate((16, 32, 64)):
        layers += [conv(channels, n, 3, stride=2 if stage else 1), norm(n), ReLU()]
        for _ in range(3):
            layers += [Residual(conv(n, n, 3), norm(n), ReLU(), conv(n, n, 3), norm(n)), ReLU()]
        channels = n
    return nn.Sequential(*layers, Mean(), Linear(64, 10))


def convolutions(shapes):
    def build(_):
        layers, channels = [], 3
        for i, shape in enumerate(shapes):
            if shape == "pool":
                layers.append(pool())
                continue
            layers.append(conv(channels, shape[0], shape[1], stride=(*shape, 1)[2]))
            if i < len(shapes) - 1:
                layers.append(ReLU())
            channels = shape[0]
        return nn.Sequential(*layers, Mean())

    return build


def wide7(_):
    return nn.Sequential(
        conv(3, 32, 7, stride=2), ReLU(), pool(), conv(32, 64, 3), ReLU(), pool(), conv(64, 128, 3), ReLU(), pool(),
        Flatten(), Linear(2048, 10))


def mobilenet(_):
    layers, channels = [conv(1, 32, 3, stride=2, bias=False), norm(32), nn.ReLU6()], 32
    for n, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [conv(channels, channels, 3, stride=stride, groups=channels, bias=False), norm(channels), nn.ReLU6()]
        layers += [conv(channels, n, 1, bias=False), norm(n), nn.ReLU6()]
        channels = n
    return nn.Sequential(*layers, Mean(), Linear(256, 10))


def twice(channels, n):
    return nn.Sequential(
        conv(channels, n, 3, bias=False), norm(n), ReLU(), conv(n, n, 3, bias=False), norm(n), ReLU())


class Joined(nn.Module):
    """The images, and beside their channels those of what is deeper."""

    def __init__(self, deep):
        super().__init__()
        self.deep = deep

    def forward(self, x):
        return torch.cat([x, self.deep(x)], 1)


def level(channels, n, below=None):
    if not below:
        return twice(channels, n)
    deep = nn.Sequential(pool(), below, nn.ConvTranspose2d(2 * n, n, 2, 2))
    return nn.Sequential(twice(channels, n), Joined(deep), twice(2 * n, n))


class Embedding(nn.Module):
    def __init__(self, tokens, size):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(tokens, size))

    def forward(self, x):
        return F.embedding(x, self.weight)


class LSTM(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]


class Positions(nn.Module):
    def __init__(self, time, size):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(time, size))

    def forward(self, x):
        return x + self.weight


class Attention(nn.Module):
    """Causal, all steps with all before them."""

    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.all, self.out = heads, Linear(size, 3 * size), Linear(size, size)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.all(x).chunk(3, 2))
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = F._scaled_dot_product_attention(q, k, v, is_causal=True)[0]
        return self.out(y.transpose(1, 2).flatten(2))


def transformer(_):
    layers = [Embedding(32, 64), Positions(47, 64)]
    for _ in range(2):
        layers.append(Residual(nn.LayerNorm(64), Attention(64, 4)))
        layers.append(Residual(nn.LayerNorm(64), Linear(64, 256), nn.GELU(), Linear(256, 64)))
    return nn.Sequential(*layers, nn.LayerNorm(64), Linear(64, 32))


NETWORKS = {
    "tutorial": tutorial(ReLU, ReLU),
    "groups": tutorial(lambda: Groups(1), lambda: Groups(4)),
    "mlp": lambda _: nn.Sequential(Linear(784, 1024), ReLU(), Linear(1024, 1024), ReLU(), Linear(1024, 10)),
    "lenet": lenet,
    "vgg": vgg(ReLU),
    "vggsoftmax": vgg(lambda: Groups(8)),
    "resnet": resnet,
    "nin": convolutions([(96, 5), (96, 1), (96, 1), "pool", (192, 5), (192, 1), (192, 1), "pool", (192, 3), (192, 1),
                         (10, 1)]),
    "allconv": convolutions([(48, 3), (48, 3), (48, 3, 2), (96, 3), (96, 3), (96, 3, 2), (96, 3), (96, 1), (10, 1)]),
    "wide7": wide7,
    "mobilenet": mobilenet,
    "unet": lambda _: nn.Sequential(level(1, 8, level(8, 16, level(16, 32))), nn.Conv2d(8, 11, 1)),
    "lstm": lambda _: nn.Sequential(Embedding(33, 32), LSTM(32, 96, batch_first=True), Linear(96, 33)),
    "transformer": transformer,
    "lenet10": lenet,
}
