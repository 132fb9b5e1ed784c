"""Runs the graph of an ONNX file by operators that are PyTorch's."""
import numpy
import onnx.helper
import onnx.numpy_helper
import torch
import torch.nn.functional as F

NUMBERS = {1: torch.float32, 2: torch.uint8, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}


def windowed(f, value):
    """f over x padded by hand, since PyTorch has no padding that differs from side to side."""
    def run(x, *rest, kernel_shape, strides, pads, dilations=None, **more):
        axes = len(kernel_shape)
        around = [side for axis in reversed(range(axes)) for side in (pads[axis], pads[axis + axes])]
        return f(axes, around, F.pad(x, around, value=value), *rest, kernel=kernel_shape, stride=strides,
                 dilation=dilations or [1] * axes, **more)
    return run


def conv(axes, _, x, w, b=None, *, kernel, stride, dilation, group):
    return (F.conv1d, F.conv2d)[axes - 1](x, w, b, stride, 0, dilation, group)


def avgpool(axes, around, x, *, kernel, stride, dilation, count_include_pad):
    pool = (F.avg_pool1d, F.avg_pool2d)[axes - 1]
    ones = torch.ones_like(x)
    if not count_include_pad and any(around):
        ones = F.pad(F.pad(ones, [-side for side in around]), around)
    return pool(x, kernel, stride) / pool(ones, kernel, stride)


def conv_transpose(x, w, b=None, *, kernel_shape, strides, pads, dilations, group, output_padding):
    y = F.conv_transpose2d(x, w, None, strides, 0, output_padding, group, dilations)
    y = y[:, :, pads[0]:y.shape[2] - pads[2], pads[1]:y.shape[3] - pads[3]]
    return y if b is None else y + b[:, None, None]


def slices(x, starts, ends, axes, steps=None):
    for i, axis in enumerate(axes.tolist()):
        first, last, step = int(starts[i]), int(ends[i]), 1 if steps is None else int(steps[i])
        places = numpy.arange(x.shape[axis])[slice(first, None if last < -x.shape[axis] else last, step)]
        x = x.index_select(axis, torch.from_numpy(places.copy()))
    return x


def pad(x, pads, value, *, mode):
    n = x.dim()
    sides = [(int(pads[i]), int(pads[i + n])) for i in range(n)]
    more = {"constant_values": value.item()} if mode == "constant" else {}
    y = numpy.pad(x.numpy(), [(max(0, a), max(0, b)) for a, b in sides], mode, **more)
    return torch.from_numpy(y[tuple(slice(max(0, -a), d - max(0, -b)) for (a, b), d in zip(sides, y.shape))])


def recurrent(kind, gates):
    """One direction; ONNX's orders of gates are those of its specification."""
    def run(x, w, r, b=None, _=None, h=None, c=None, *, hidden_size, direction, linear_before_reset=1, activations=None):
        assert linear_before_reset == 1
        w, r, steps, states = w[0], r[0], list(range(x.shape[0])), [None] * x.shape[0]
        wb, rb = (b[0].chunk(2)) if b is not None else (torch.zeros(len(w)), torch.zeros(len(r)))
        zero = torch.zeros(x.shape[1], hidden_size)
        h, c = (zero if h is None else h[0]), (zero if c is None else c[0])
        for t in reversed(steps) if direction == "reverse" else steps:
            a, s = (x[t] @ w.T + wb).chunk(gates, 1), (h @ r.T + rb).chunk(gates, 1)
            if kind == "lstm":
                i, o, f = ((a[k] + s[k]).sigmoid() for k in range(3))
                c = f * c + i * (a[3] + s[3]).tanh()
                h = o * c.tanh()
            elif kind == "gru":
                z, reset = (a[0] + s[0]).sigmoid(), (a[1] + s[1]).sigmoid()
                h = (1 - z) * (a[2] + reset * s[2]).tanh() + z * h
            else:
                h = {"Tanh": torch.tanh, "Relu": torch.relu}[activations[0]](a[0] + s[0])
            states[t] = h
        return (torch.stack(states)[:, None], h[None], c[None])[:3 if kind == "lstm" else 2]
    return run


def reduction(f):
    def run(x, given=None, *, axes=None, keepdims=1):
        return f(x, dim=given.tolist() if given is not None else list(axes), keepdim=bool(keepdims))
    return run


def product(x, dim, keepdim):
    for axis in sorted(dim, reverse=True):
        x = x.prod(axis, keepdim)
    return x


def scatter(x, places, values, *, axis):
    return x.scatter(axis, places, values)


def one_hot(i, depth, values, *, axis):
    y = F.one_hot(i.long(), int(depth)).to(values.dtype)
    return torch.movedim(y * (values[1] - values[0]) + values[0], -1, axis)


RUN = {
    "Identity": lambda x: x, "Transpose": lambda x, perm: x.permute(perm), "MatMul": torch.matmul, "Add": torch.add,
    "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Pow": torch.pow, "Max": torch.maximum,
    "Min": torch.minimum, "Relu": torch.relu, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "Exp": torch.exp,
    "Log": torch.log, "Sqrt": torch.sqrt, "Abs": torch.abs, "Neg": torch.neg, "Erf": torch.erf, "Sin": torch.sin,
    "Cos": torch.cos, "Sign": torch.sign, "Floor": torch.floor, "Round": torch.round, "Softplus": F.softplus,
    "Less": torch.lt, "LessOrEqual": torch.le, "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Equal": torch.eq,
    "Not": torch.logical_not, "Or": torch.logical_or, "IsNaN": torch.isnan, "IsInf": torch.isinf,
    "Where": torch.where, "Cast": lambda x, to: x.to(NUMBERS[to]),
    "Softmax": lambda x, axis: x.softmax(axis), "LogSoftmax": lambda x, axis: x.log_softmax(axis),
    "Conv": windowed(conv, 0), "ConvTranspose": conv_transpose, "AveragePool": windowed(avgpool, 0),
    "MaxPool": windowed(lambda axes, _, x, kernel, stride, dilation:
                        (F.max_pool1d, F.max_pool2d)[axes - 1](x, kernel, stride, 0, dilation), -numpy.inf),
    "Reshape": lambda x, shape, allowzero=0: x.reshape(shape.tolist()),
    "Expand": lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, shape.tolist())),
    "Shape": lambda x, start=0, end=None: torch.tensor(x.shape[start:end]),
    "Concat": lambda *xs, axis: torch.cat(xs, axis), "Slice": slices, "Pad": pad,
    "Split": lambda x, sizes, axis: x.split(sizes.tolist(), axis),
    "Gather": lambda x, i, axis: torch.as_tensor(numpy.take(x.numpy(), i.numpy(), axis)),
    "GatherElements": lambda x, i, axis: x.gather(axis, i), "ScatterElements": scatter, "OneHot": one_hot,
    "ArgMax": lambda x, axis, keepdims: x.argmax(axis, bool(keepdims)),
    "ArgMin": lambda x, axis, keepdims: x.argmin(axis, bool(keepdims)),
    "TopK": lambda x, k, axis, largest=1: tuple(
        y.narrow(axis, 0, int(k)) for y in torch.sort(x, stable=True, dim=axis, descending=bool(largest))),
    "CumSum": lambda x, axis: x.cumsum(int(axis)), "Tile": lambda x, n: x.tile(n.tolist()),
    "Einsum": lambda *xs, equation: torch.einsum(equation, *xs),
    "Squeeze": lambda x, axes: x.squeeze(int(axes)), "Unsqueeze": lambda x, axes: x.unsqueeze(int(axes)),
    "ReduceSum": reduction(torch.sum), "ReduceMean": reduction(torch.mean), "ReduceMax": reduction(torch.amax),
    "ReduceMin": reduction(torch.amin), "ReduceL2": reduction(torch.linalg.vector_norm),
    "ReduceProd": reduction(product), "ReduceLogSumExp": reduction(torch.logsumexp),
    "LSTM": recurrent("lstm", 4), "GRU": recurrent("gru", 3), "RNN": recurrent("rnn", 1),
}


def attribute(a):
    value = onnx.helper.get_attribute_value(a)
    if isinstance(value, bytes):
        return value.decode()
    return [v.decode() if isinstance(v, bytes) else v for v in value] if a.type >= 6 else value


def run(graph, inputs):
    known = {i.name: torch.from_numpy(numpy.array(onnx.numpy_helper.to_array(i))) for i in graph.initializer}
    known.update({name: torch.from_numpy(x) for name, x in inputs.items()}, **{"": None})
    for node in graph.node:
        result = RUN[node.op_type](*[known[i] for i in node.input], **{a.name: attribute(a) for a in node.attribute})
        for name, y in zip(node.output, result if isinstance(result, tuple) else (result,)):
            known[name] = y
    return {o.name: known[o.name].numpy() for o in graph.output}
