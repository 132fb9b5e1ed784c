"""Checks ONNX files, and runs them: python3 onnx_reference.py CASE… for each CASE.onnx and CASE.npz, the arrays of
inputs and of what the model gave, "in:NAME" and "out:NAME". A graph is run by ONNX's own reference implementation where
this version has one, and by PyTorch where that is installed; one of them must be there."""
import sys
import numpy
import onnx
import onnx.checker
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference
try:
    from onnx.reference import ReferenceEvaluator
except ImportError:
    ReferenceEvaluator = None
try:
    from onnx_torch import run as torch_runs
except ImportError:
    torch_runs = None


def beyond(graph):
    """The first operator of which onnx.reference of 1.17 does not do all that the standard has; None where it does."""
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.value_info)}
    shapes.update((name, list(x.shape)) for name, x in constants.items())

    def lacks(kind, node, has):
        if kind in ("RNN", "GRU", "LSTM"):    # goes forward alone, gives no c, knows no other activation
            return has.get("direction", b"forward") != b"forward" or "".join(node.output[2:]) or "activations" in has
        if kind == "GatherElements":          # wants indices of the size of the data
            x, i = (shapes[name] for name in node.input)
            return any(a != b for axis, (a, b) in enumerate(zip(x, i)) if axis != has["axis"])
        if kind == "Pad":                     # takes nothing away
            return constants[node.input[1]].min(initial=0) < 0
        return (kind == "ConvTranspose" and has["group"] > 1
                or kind == "MaxPool" and len(has["kernel_shape"]) == 1
                or kind == "TopK"             # of equals takes any, not the first
                or kind == "Softplus")        # not of a single number

    for node in graph.node:
        if lacks(node.op_type, node, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}):
            return node.op_type
    return None


def compare(by, found, expected):
    assert set(found) == set(expected), f"{by}: outputs {sorted(found)}, expected {sorted(expected)}"
    for name, y in expected.items():
        x = found[name]
        assert x.shape == y.shape and x.dtype == y.dtype, f"{by}: {name} {x.dtype} {x.shape}, not {y.dtype} {y.shape}"
        if x.size:
            close = numpy.isclose(x, y, rtol=1e-5, atol=1e-5 * max([1, *numpy.abs(y[numpy.isfinite(y)])]), equal_nan=True)
            assert close.all(), f"{by}: {name} is off, {x[~close][:4]} instead of {y[~close][:4]}"


if not torch_runs and not ReferenceEvaluator:
    sys.exit("neither onnx.reference nor PyTorch is there")
failed = 0
for case in sys.argv[1:]:
    try:
        model = onnx.load(case + ".onnx")
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        arrays = numpy.load(case + ".npz")
        inputs = {name[3:]: arrays[name] for name in arrays if name.startswith("in:")}
        expected = {name[4:]: arrays[name] for name in arrays if name.startswith("out:")}
        if torch_runs:
            compare("PyTorch", torch_runs(model.graph, inputs), expected)
        missing = beyond(inferred.graph)
        if ReferenceEvaluator and not missing:
            names = [o.name for o in model.graph.output]
            with numpy.errstate(all="ignore"):
                found = ReferenceEvaluator(model).run(None, inputs)
            compare("onnx.reference", dict(zip(names, found)), expected)
        ran = torch_runs or not missing
        print("ok" if ran else "ok but not run", case.split("/")[-1], "" if ran else missing)
    except Exception as problem:  # every case is tried
        failed = 1
        print("FAILED", case.split("/")[-1], type(problem).__name__, problem)
sys.exit(failed)
