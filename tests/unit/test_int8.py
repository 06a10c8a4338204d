"""QDQ models as ONNX Runtime's static quantizer writes them: computed in int8 by the compiled model, against numpy."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from support.acl import Acl
from support.emulator import run_atc
from support.models import FLOAT, compile_model, graph_input, onnx_model

Array = npt.NDArray[Any]
Compile = Callable[..., Path]

ROWS, WIDTH, INNER = 16, 64, 256
KEEP = "--precision_mode=must_keep_origin_dtype"
FP16 = "--precision_mode=force_fp16"


def random(*shape: int, scale: float = 1.0, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def weight(rows: int, columns: int, seed: int) -> Array:
    """A weight whose columns differ in size, so that a scale for each of them matters."""
    return random(rows, columns, scale=rows**-0.5, seed=seed) * np.geomspace(0.1, 3, columns, dtype=np.float32)


def model_of(nodes: list[onnx.NodeProto], weights: dict[str, Array]) -> onnx.ModelProto:
    return onnx_model(
        nodes, [graph_input("x", FLOAT, ["batch", WIDTH])], [graph_input("y", FLOAT, ["batch", WIDTH])], weights
    )


def matmul() -> onnx.ModelProto:
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], {"w": weight(WIDTH, WIDTH, 1)})


def mlp() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["p1"], name="first"),
        helper.make_node("Add", ["p1", "b1"], ["s1"], name="bias"),
        helper.make_node("Relu", ["s1"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["p2"], name="second"),
        helper.make_node("Add", ["p2", "x"], ["y"], name="residual"),
    ]
    weights = {"w1": weight(WIDTH, INNER, 1), "b1": random(INNER, seed=2), "w2": weight(INNER, WIDTH, 3)}
    return model_of(nodes, weights)


def attention() -> onnx.ModelProto:
    """One head over the rows: both kinds of products, those with a weight and those of two activations."""
    nodes = [helper.make_node("MatMul", ["x", f"w{each}"], [each], name=f"project_{each}") for each in "qkv"]
    nodes += [
        helper.make_node("Transpose", ["k"], ["kt"], perm=[1, 0], name="transpose"),
        helper.make_node("MatMul", ["q", "kt"], ["scores"], name="scores"),
        helper.make_node("Mul", ["scores", "scale"], ["scaled"], name="scale"),
        helper.make_node("Softmax", ["scaled"], ["share"], axis=-1, name="softmax"),
        helper.make_node("MatMul", ["share", "v"], ["mixed"], name="mix"),
        helper.make_node("MatMul", ["mixed", "wo"], ["y"], name="project_out"),
    ]
    weights = {f"w{each}": random(WIDTH, WIDTH, scale=0.1, seed=seed) for seed, each in enumerate("qkvo")}
    return model_of(nodes, {**weights, "scale": np.array(0.1, np.float32)})


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._rows: Iterator[Array] = iter([random(ROWS, WIDTH, seed=seed) for seed in range(8)])

    def get_next(self) -> dict[str, Array] | None:
        rows = next(self._rows, None)
        return None if rows is None else {"x": rows}


# What quantizers choose for activations: the type, and whether its zero point is zero.
ACTIVATIONS = {
    "int8_symmetric": (QuantType.QInt8, True),
    "int8_asymmetric": (QuantType.QInt8, False),
    "uint8_asymmetric": (QuantType.QUInt8, False),
}
by_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
by_model = pytest.mark.parametrize("build", [matmul, mlp, attention], ids=lambda build: build.__name__)


def quantized(model: onnx.ModelProto, folder: Path, activation: str = "int8_symmetric", *types: str) -> onnx.ModelProto:
    kind, symmetric = ACTIVATIONS[activation]
    source, result = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(model, str(source))
    quantize_static(
        str(source),
        str(result),
        Calibration(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(types) or ["MatMul"],
        per_channel=True,
        activation_type=kind,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
    )
    return onnx.load(str(result))


def integer_reference(model: onnx.ModelProto, x: Array) -> Array:
    """Run a QDQ graph with products of integers; a dequantized tensor is kept as (integers, scale)."""
    values: dict[str, Any] = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    values["x"] = x

    def real(value: Any) -> Array:
        return np.asarray(value[0] * value[1].astype(np.float64) if isinstance(value, tuple) else value)

    for node in model.graph.node:
        inputs = [values[name] for name in node.input]
        match node.op_type:
            case "QuantizeLinear":
                limits = np.iinfo(inputs[2].dtype)
                steps = np.rint(real(inputs[0]) / inputs[1].astype(np.float64)) + inputs[2]
                result: Any = np.clip(steps, limits.min, limits.max).astype(inputs[2].dtype)
            case "DequantizeLinear":
                result = (inputs[0].astype(np.int64) - inputs[2].astype(np.int64), inputs[1])
            case "MatMul":
                (left, left_scale), (right, right_scale) = inputs
                result = (left @ right) * (left_scale.astype(np.float64) * right_scale)
            case "Softmax":
                powers = np.exp(real(inputs[0]))
                result = powers / powers.sum(axis=-1, keepdims=True)
            case kind:
                plain: Mapping[str, Callable[..., Array]] = {
                    "Add": np.add,
                    "Mul": np.multiply,
                    "Relu": lambda value: np.maximum(value, 0),
                    "Transpose": np.transpose,
                }
                result = plain[kind](*map(real, inputs))
        values[node.output[0]] = result
    return real(values["y"])


def output_step(model: onnx.ModelProto) -> float:
    """The largest scale of a tensor that is quantized: nothing behind it is nearer than a step of it."""
    scales = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    return float(max(scales[node.input[1]].max() for node in model.graph.node if node.op_type == "QuantizeLinear"))


def onnxruntime_of(model: onnx.ModelProto, x: Array) -> Array:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


def cosine(left: Array, right: Array) -> float:
    return float((left * right).sum() / np.sqrt((left * left).sum() * (right * right).sum()))


@pytest.fixture(scope="module")
def acl() -> Iterator[Acl]:
    with Acl() as library:
        yield library


@pytest.fixture
def run(acl: Acl, tmp_path: Path) -> Callable[..., Array]:
    def compile_and_run(model: onnx.ModelProto, x: Array, *flags: str) -> Array:
        om = compile_model(model, tmp_path / "model", f"--input_shape=x:{x.shape[0]},{x.shape[1]}", *flags)
        loaded = acl.load(om)
        try:
            return loaded.run([x])[0]
        finally:
            loaded.unload()

    return compile_and_run


@by_activation
@by_model
def test_a_quantized_model_computes_in_integers(
    build: Callable[[], onnx.ModelProto], activation: str, run: Callable[..., Array], tmp_path: Path
) -> None:
    model = quantized(build(), tmp_path, activation)
    x = random(ROWS, WIDTH, seed=99)
    expected = integer_reference(model, x)
    actual = run(model, x, KEEP)
    error = np.abs(actual - expected)
    # A sum that lies at a tie may be quantized to either neighbour; what is not at one is equal but for float32.
    assert np.median(error) < 1e-5 * np.abs(expected).max()
    assert error.max() <= 1.01 * output_step(model)
    assert np.median(np.abs(onnxruntime_of(build(), x) - actual)) > 100 * np.median(error), "computed in float"


@by_activation
@by_model
def test_a_quantized_model_agrees_with_onnxruntime(
    build: Callable[[], onnx.ModelProto], activation: str, run: Callable[..., Array], tmp_path: Path
) -> None:
    model = quantized(build(), tmp_path, activation)
    x = random(ROWS, WIDTH, seed=99)
    for mode in (KEEP, FP16, "--precision_mode=allow_mix_precision", "--precision_mode=allow_fp32_to_bf16"):
        assert cosine(run(model, x, mode), onnxruntime_of(model, x)) > 0.999, mode


def test_half_precision_leaves_the_integers_alone(run: Callable[..., Array], tmp_path: Path) -> None:
    model = quantized(matmul(), tmp_path)
    x = random(ROWS, WIDTH, seed=99).astype(np.float16).astype(np.float32)
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    steps = np.clip(np.rint(x / values["x_scale"]), -128, 127).astype(np.int64)
    product = (steps @ values["w_quantized"].astype(np.int64)) * (values["x_scale"] * values["w_scale"])
    halves = product.astype(np.float16).astype(np.float32)
    expected = np.clip(np.rint(halves / values["y_scale"]), -128, 127) * values["y_scale"]
    actual = run(model, x, FP16)
    assert np.array_equal(actual, actual.astype(np.float16))
    assert (np.abs(actual - expected) <= np.abs(expected) * 2.0**-10).mean() > 0.98
    assert np.abs(actual - expected).max() <= 1.01 * values["y_scale"]


@pytest.mark.parametrize("mode", [KEEP, FP16])
def test_inputs_beyond_the_range_saturate(mode: str, run: Callable[..., Array], tmp_path: Path) -> None:
    model = quantized(matmul(), tmp_path)
    scale = next(numpy_helper.to_array(each) for each in model.graph.initializer if each.name == "x_scale")
    highest = np.full((ROWS, WIDTH), 127 * scale, np.float32)
    assert np.array_equal(run(model, highest * 50, mode), run(model, highest, mode))
    lowest = np.full((ROWS, WIDTH), -128 * scale, np.float32)
    assert np.array_equal(run(model, lowest * 50, mode), run(model, lowest, mode))
    assert not np.array_equal(run(model, lowest, mode), -run(model, highest, mode))


@pytest.mark.parametrize("mode", [KEEP, FP16])
@pytest.mark.parametrize("kind", ["batch", "dims"])
def test_gears_of_a_quantized_model(kind: str, mode: str, acl: Acl, tmp_path: Path) -> None:
    model = quantized(mlp(), tmp_path)
    gears = {"batch": "--dynamic_batch_size=1,4,8,16", "dims": "--dynamic_dims=1;4;8;16"}
    om = compile_model(model, tmp_path / "model", f"--input_shape=x:-1,{WIDTH}", gears[kind], mode)
    loaded = acl.load(om)
    try:
        for rows in (1, 4, 8, 16):
            x = random(rows, WIDTH, seed=rows)
            actual = loaded.run([x])[0]
            assert actual.shape == (rows, WIDTH)
            assert cosine(actual, integer_reference(model, x)) > 0.999
    finally:
        loaded.unload()


@pytest.mark.parametrize("mode", [KEEP, FP16])
def test_weights_stay_bytes_in_the_file(mode: str, tmp_path: Path) -> None:
    rows, flags = 2048, (f"--input_shape=x:{ROWS},{WIDTH}", mode)
    plain = model_of(
        [
            helper.make_node("ArgMax", ["x"], ["index"], axis=1, keepdims=0, name="index"),
            helper.make_node("Gather", ["table", "index"], ["row"], name="row"),
            helper.make_node("Add", ["x", "row"], ["sum"], name="add"),
            helper.make_node("MatMul", ["sum", "w"], ["inner"], name="first"),
            helper.make_node("MatMul", ["inner", "v"], ["y"], name="second"),
        ],
        {"table": random(rows, WIDTH), "w": weight(WIDTH, rows, 1), "v": weight(rows, WIDTH, 2)},
    )
    whole = compile_model(plain, tmp_path / "float", *flags).stat().st_size
    bytes_ = compile_model(quantized(plain, tmp_path, "int8_symmetric", "MatMul", "Gather"), tmp_path / "int8", *flags)
    assert bytes_.stat().st_size < 0.3 * whole


def test_atc_tells_which_operators_are_int8(tmp_path: Path) -> None:
    om = compile_model(quantized(mlp(), tmp_path), tmp_path / "model", f"--input_shape=x:{ROWS},{WIDTH}", FP16)
    lines = run_atc("--mode=6", f"--om={om}").stdout.splitlines()
    assert "MatMulV2 INT8 2" in lines
    assert "AscendQuant INT8 4" in lines
    assert any(line.startswith("AscendDequant FP16") for line in lines)
    assert "Convert" not in "".join(lines)


def wide_product(width: int) -> tuple[onnx.ModelProto, Array, int]:
    """A product whose partial sums need more than float32's 24 bits; with its input and the one right answer."""
    bytes_ = np.full((width, 1), 127, np.int8)
    bytes_[width // 2 :] = -127
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["d"], name="dequantize"),
        helper.make_node("DequantizeLinear", ["w", "one", "zero"], ["dw"], name="dequantize_weight"),
        helper.make_node("MatMul", ["d", "dw"], ["y"], name="product"),
    ]
    model = onnx_model(
        nodes,
        [graph_input("x", FLOAT, [1, width])],
        [graph_input("y", FLOAT, [1, 1])],
        {"w": bytes_, "one": np.array(1, np.float32), "zero": np.array(0, np.int8)},
    )
    x = np.random.default_rng(3).integers(100, 128, (1, width))
    return model, x.astype(np.float32), int((x @ bytes_.astype(np.int64))[0, 0])


def has_vnni() -> bool:
    return "vnni" in Path("/proc/cpuinfo").read_text()


@pytest.mark.skipif(not has_vnni(), reason="without VNNI the products are summed in float32")
@pytest.mark.parametrize("width", [65536, 65536 + 64 * 3])
def test_sums_beyond_24_bits_are_exact(width: int, run: Callable[..., Array]) -> None:
    model, x, expected = wide_product(width)
    assert run(model, x, KEEP)[0, 0] == np.float32(expected)


def test_a_cpu_without_vnni_does_not_saturate_the_sums(tmp_path: Path) -> None:
    """OpenVINO's int8 kernels for such a CPU add pairs of products in 16 bits; oneDNN can be told to be one."""
    model = quantized(mlp(), tmp_path, "uint8_asymmetric")
    om = compile_model(model, tmp_path / "model", f"--input_shape=x:{ROWS},{WIDTH}", KEEP)
    x = random(ROWS, WIDTH, seed=99) * 2
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy as np; from support.acl import Acl\n"
        "with Acl() as acl:\n"
        "    np.save(sys.argv[3], acl.load(sys.argv[1]).run([np.load(sys.argv[2])])[0])\n"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-c", program, str(om), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")],
        env=environment,
        check=True,
        timeout=120,
    )
    error = np.abs(np.load(tmp_path / "y.npy") - integer_reference(model, x))
    assert np.median(error) < 1e-5
    assert error.max() <= 1.01 * output_step(model)
