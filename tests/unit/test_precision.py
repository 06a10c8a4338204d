"""What precision modes do to numbers, against numpy doing the same operator by operator."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import helper
from support.acl import Acl
from support.models import FLOAT, compile_model, graph_input, onnx_model

Array = npt.NDArray[Any]
Rounding = Callable[[Array], Array]

ROWS, WIDTH = 16, 64
erf = np.vectorize(math.erf, otypes=[np.float64])


def half(values: Array) -> Array:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float64)


def bfloat16(values: Array) -> Array:
    bits = values.astype(np.float32).view(np.uint32)
    rounded: Array = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return rounded.astype(np.float64)


def exact(values: Array) -> Array:
    return values


def random(*shape: int, scale: float = 1.0, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


@pytest.fixture(scope="module")
def acl() -> Iterator[Acl]:
    with Acl() as library:
        yield library


@pytest.fixture
def run(acl: Acl, tmp_path: Path) -> Callable[..., Array]:
    """Compiles a model of one input, x [16, 64], and returns its output for the given x."""

    def compile_and_run(model: onnx.ModelProto, x: Array, *flags: str) -> Array:
        loaded = acl.load(
            compile_model(model, tmp_path / "model", f"--input_shape=x:{x.shape[0]},{x.shape[1]}", *flags)
        )
        try:
            return loaded.run([x])[0]
        finally:
            loaded.unload()

    return compile_and_run


def single_output(nodes: list[onnx.NodeProto], weights: dict[str, Array], width: int = WIDTH) -> onnx.ModelProto:
    return onnx_model(
        nodes, [graph_input("x", FLOAT, [ROWS, WIDTH])], [graph_input("y", FLOAT, [ROWS, width])], weights
    )


def assert_nearly_all_equal(actual: Array, expected: Array, rounding: Rounding) -> None:
    """Equal where rounded, but for values so near a tie that the order of a sum decides: there, one step apart."""
    assert np.array_equal(rounding(actual.astype(np.float64)), actual), "the output is not rounded"
    equal = actual == expected
    assert equal.mean() > 0.98
    step = 2.0**-10 if rounding is half else 2.0**-7
    np.testing.assert_allclose(actual, expected, rtol=step, atol=2.0**-24)


# One operator (or the handful that it is made of): the ONNX nodes, the weights, and numpy with a rounding behind each
# operator of the compiled graph.


def matmul() -> tuple[onnx.ModelProto, Callable[[Array, Rounding], Array]]:
    weight = random(WIDTH, WIDTH, scale=0.2, seed=1)

    def reference(x: Array, rounding: Rounding) -> Array:
        return rounding(rounding(x) @ rounding(weight.astype(np.float64)))

    return single_output([helper.make_node("MatMul", ["x", "w"], ["y"], name="matmul")], {"w": weight}), reference


def softmax() -> tuple[onnx.ModelProto, Callable[[Array, Rounding], Array]]:
    def reference(x: Array, rounding: Rounding) -> Array:
        powers = np.exp(rounding(x) - rounding(x).max(axis=-1, keepdims=True))
        return rounding(powers / powers.sum(axis=-1, keepdims=True))

    return single_output([helper.make_node("Softmax", ["x"], ["y"], name="softmax", axis=-1)], {}), reference


def layer_norm() -> tuple[onnx.ModelProto, Callable[[Array, Rounding], Array]]:
    scale, bias = random(WIDTH, seed=2), random(WIDTH, seed=3)
    node = helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], name="norm", epsilon=1e-5)

    def reference(x: Array, rounding: Rounding) -> Array:
        x = rounding(x)
        deviation = x - x.mean(axis=-1, keepdims=True)
        normal = rounding(deviation / np.sqrt((deviation**2).mean(axis=-1, keepdims=True) + 1e-5))
        scaled = rounding(normal * rounding(scale.astype(np.float64)))
        return rounding(scaled + rounding(bias.astype(np.float64)))

    return single_output([node], {"scale": scale, "bias": bias}), reference


def decomposed_layer_norm() -> tuple[onnx.ModelProto, Callable[[Array, Rounding], Array]]:
    epsilon = np.float32(1e-5)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1], name="mean"),
        helper.make_node("Sub", ["x", "mean"], ["deviation"], name="sub"),
        helper.make_node("Pow", ["deviation", "two"], ["square"], name="pow"),
        helper.make_node("ReduceMean", ["square"], ["variance"], axes=[-1], name="variance"),
        helper.make_node("Add", ["variance", "epsilon"], ["shifted"], name="add"),
        helper.make_node("Sqrt", ["shifted"], ["root"], name="sqrt"),
        helper.make_node("Div", ["deviation", "root"], ["y"], name="div"),
    ]
    weights = {"two": np.array(2, np.float32), "epsilon": np.array(epsilon, np.float32)}

    def reference(x: Array, rounding: Rounding) -> Array:
        x = rounding(x)
        deviation = rounding(x - rounding(x.mean(axis=-1, keepdims=True)))
        variance = rounding(rounding(deviation**2).mean(axis=-1, keepdims=True))
        root = rounding(np.sqrt(rounding(variance + rounding(np.array(epsilon, np.float64)))))
        return rounding(deviation / root)

    return single_output(nodes, weights), reference


def erf_gelu() -> tuple[onnx.ModelProto, Callable[[Array, Rounding], Array]]:
    root = np.array(math.sqrt(2), np.float32)
    nodes = [
        helper.make_node("Div", ["x", "root"], ["scaled"], name="div"),
        helper.make_node("Erf", ["scaled"], ["erf"], name="erf"),
        helper.make_node("Add", ["erf", "one"], ["shifted"], name="add"),
        helper.make_node("Mul", ["x", "shifted"], ["product"], name="mul"),
        helper.make_node("Mul", ["product", "half"], ["y"], name="mul_half"),
    ]
    weights = {"root": root, "one": np.array(1, np.float32), "half": np.array(0.5, np.float32)}

    def reference(x: Array, rounding: Rounding) -> Array:
        x = rounding(x)
        curve = rounding(erf(rounding(x / rounding(root.astype(np.float64)))))
        return rounding(rounding(x * rounding(curve + 1)) * 0.5)

    return single_output(nodes, weights), reference


def tanh_gelu() -> tuple[onnx.ModelProto, Callable[[Array, Rounding], Array]]:
    cubic, factor = np.array(0.044715, np.float32), np.array(math.sqrt(2 / math.pi), np.float32)
    nodes = [
        helper.make_node("Pow", ["x", "three"], ["cube"], name="pow"),
        helper.make_node("Mul", ["cube", "cubic"], ["small"], name="mul_cubic"),
        helper.make_node("Add", ["x", "small"], ["inner"], name="add"),
        helper.make_node("Mul", ["inner", "factor"], ["scaled"], name="mul_factor"),
        helper.make_node("Tanh", ["scaled"], ["tanh"], name="tanh"),
        helper.make_node("Add", ["tanh", "one"], ["shifted"], name="add_one"),
        helper.make_node("Mul", ["x", "shifted"], ["product"], name="mul"),
        helper.make_node("Mul", ["product", "half"], ["y"], name="mul_half"),
    ]
    weights = {
        "three": np.array(3, np.float32),
        "cubic": cubic,
        "factor": factor,
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
    }

    def reference(x: Array, rounding: Rounding) -> Array:
        x = rounding(x)
        small = rounding(rounding(x**3) * rounding(cubic.astype(np.float64)))
        scaled = rounding(rounding(x + small) * rounding(factor.astype(np.float64)))
        return rounding(rounding(x * rounding(rounding(np.tanh(scaled)) + 1)) * 0.5)

    return single_output(nodes, weights), reference


OPERATORS = [matmul, softmax, layer_norm, decomposed_layer_norm, erf_gelu, tanh_gelu]
by_operator = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)


@by_operator
def test_force_fp16_rounds_inputs_weights_and_every_operator(operator: Any, run: Callable[..., Array]) -> None:
    model, reference = operator()
    x = random(ROWS, WIDTH, scale=2)
    assert_nearly_all_equal(run(model, x, "--precision_mode=force_fp16"), reference(x.astype(np.float64), half), half)


@by_operator
def test_the_default_mode_is_force_fp16(operator: Any, run: Callable[..., Array]) -> None:
    model, _ = operator()
    x = random(ROWS, WIDTH)
    assert np.array_equal(run(model, x), run(model, x, "--precision_mode_v2=fp16"))


@by_operator
def test_must_keep_origin_dtype_rounds_nothing(operator: Any, run: Callable[..., Array]) -> None:
    model, reference = operator()
    x = random(ROWS, WIDTH, scale=2)
    actual = run(model, x, "--precision_mode=must_keep_origin_dtype")
    np.testing.assert_allclose(actual, reference(x.astype(np.float64), exact), rtol=2e-5, atol=2e-5)
    assert not np.array_equal(half(actual), actual)


@by_operator
def test_bfloat16_rounds_to_bfloat16(operator: Any, run: Callable[..., Array]) -> None:
    model, reference = operator()
    x = random(ROWS, WIDTH)
    actual = run(model, x, "--precision_mode=allow_fp32_to_bf16")
    assert_nearly_all_equal(actual, reference(x.astype(np.float64), bfloat16), bfloat16)


def test_mixed_precision_lowers_matmul(run: Callable[..., Array]) -> None:
    model, reference = matmul()
    x = random(ROWS, WIDTH)
    actual = run(model, x, "--precision_mode=allow_mix_precision")
    assert_nearly_all_equal(actual, reference(x.astype(np.float64), half), half)


@pytest.mark.parametrize(
    "operator", [softmax, layer_norm, decomposed_layer_norm, erf_gelu], ids=lambda operator: operator.__name__
)
def test_mixed_precision_keeps_black_operators_and_what_follows_them(operator: Any, run: Callable[..., Array]) -> None:
    model, reference = operator()
    x = random(ROWS, WIDTH)
    actual = run(model, x, "--precision_mode=allow_mix_precision")
    np.testing.assert_allclose(actual, reference(x.astype(np.float64), exact), rtol=2e-5, atol=2e-5)


def matmul_bias_softmax() -> tuple[onnx.ModelProto, Array, Array]:
    weight, bias = random(WIDTH, WIDTH, scale=0.2, seed=1), random(WIDTH, seed=2)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="matmul"),
        helper.make_node("Add", ["product", "b"], ["sum"], name="bias"),
        helper.make_node("Softmax", ["sum"], ["y"], name="softmax"),
    ]
    return single_output(nodes, {"w": weight, "b": bias}), weight.astype(np.float64), bias.astype(np.float64)


def softmax_of(values: Array) -> Array:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def test_mixed_precision_lets_grey_operators_follow_their_predecessor(run: Callable[..., Array]) -> None:
    model, weight, bias = matmul_bias_softmax()
    x = random(ROWS, WIDTH)
    lowered = half(half(half(x) @ half(weight)) + half(bias))
    actual = run(model, x, "--precision_mode=allow_mix_precision_fp16")
    np.testing.assert_allclose(actual, softmax_of(lowered), rtol=3e-3)
    assert np.median(np.abs(actual - softmax_of(lowered))) < np.median(np.abs(actual - softmax_of(x @ weight + bias)))
    assert not np.array_equal(half(actual), actual)


def test_a_mix_list_moves_operators_between_the_lists(run: Callable[..., Array], tmp_path: Path) -> None:
    model, weight, bias = matmul_bias_softmax()
    x = random(ROWS, WIDTH)
    mixlist = tmp_path / "mix.json"
    mixlist.write_text('{"black-list": {"to-remove": ["SoftmaxV2"], "to-add": ["MatMulV2"]}}')
    actual = run(model, x, "--precision_mode=allow_mix_precision", f"--modify_mixlist={mixlist}")
    np.testing.assert_allclose(actual, softmax_of(x.astype(np.float64) @ weight + bias), rtol=2e-5)
    mixlist.write_text('{"white-list": {"to-add": ["SoftmaxV2"]}}')
    actual = run(model, x, "--precision_mode=allow_mix_precision", f"--modify_mixlist={mixlist}")
    assert np.array_equal(half(actual), actual)


def test_keep_dtype_keeps_an_operator_and_its_weights(run: Callable[..., Array], tmp_path: Path) -> None:
    model, reference = matmul()
    x = random(ROWS, WIDTH)
    keep = tmp_path / "keep.txt"
    for line in ("matmul\n", "OpType::MatMulV2\n"):
        keep.write_text(line)
        actual = run(model, x, f"--keep_dtype={keep}")
        np.testing.assert_allclose(actual, reference(x.astype(np.float64), exact), rtol=2e-5, atol=2e-5)


def test_keep_dtype_keeps_all_that_one_onnx_operator_becomes(run: Callable[..., Array], tmp_path: Path) -> None:
    model, reference = layer_norm()
    x = random(ROWS, WIDTH)
    keep = tmp_path / "keep.txt"
    keep.write_text("norm")
    actual = run(model, x, f"--keep_dtype={keep}")
    np.testing.assert_allclose(actual, reference(x.astype(np.float64), exact), rtol=2e-5, atol=2e-5)


def test_force_fp32_lowers_the_inputs_of_matmul_only(run: Callable[..., Array]) -> None:
    model, _ = matmul()
    weight = random(WIDTH, WIDTH, scale=0.2, seed=1)
    x = random(ROWS, WIDTH)
    for mode in ("force_fp32", "cube_fp16in_fp32out"):
        actual = run(model, x, f"--precision_mode={mode}")
        np.testing.assert_allclose(actual, half(x) @ half(weight), rtol=2e-5, atol=2e-5)


def test_a_mask_beyond_half_range_becomes_infinite(run: Callable[..., Array]) -> None:
    lowest = np.array(np.finfo(np.float32).min, np.float32)
    model = single_output([helper.make_node("Add", ["x", "mask"], ["y"], name="mask")], {"mask": lowest})
    x = random(ROWS, WIDTH)
    assert np.all(np.isneginf(run(model, x, "--precision_mode=force_fp16")))
    assert np.all(run(model, x, "--precision_mode=must_keep_origin_dtype") == lowest)


def test_subnormal_halves_are_kept_and_overflow_is_infinite(run: Callable[..., Array]) -> None:
    model = single_output([helper.make_node("Mul", ["x", "one"], ["y"], name="mul")], {"one": np.array(1, np.float32)})
    x = np.geomspace(1e-9, 1e6, ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
    assert np.array_equal(run(model, x), half(x))


def test_a_half_precision_graph_is_rounded_in_every_mode(acl: Acl, tmp_path: Path) -> None:
    weight = random(WIDTH, WIDTH, scale=0.2, seed=1).astype(np.float16)
    model = onnx_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="matmul")],
        [graph_input("x", onnx.TensorProto.FLOAT16, [ROWS, WIDTH])],
        [graph_input("y", onnx.TensorProto.FLOAT16, [ROWS, WIDTH])],
        {"w": weight},
    )
    om = compile_model(
        model, tmp_path / "half", f"--input_shape=x:{ROWS},{WIDTH}", "--precision_mode=must_keep_origin_dtype"
    )
    x = random(ROWS, WIDTH).astype(np.float16)
    loaded = acl.load(om)
    actual = loaded.run([x])[0]
    loaded.unload()
    assert actual.dtype == np.float16
    assert_nearly_all_equal(actual.astype(np.float64), half(x.astype(np.float64) @ weight.astype(np.float64)), half)


# The whole of a small transformer.

LAYERS, HEADS, HEAD = 2, 4, 16


def transformer() -> onnx.ModelProto:
    """Two encoder layers over x [16, 64]: attention with four heads, residuals, norms, a GELU of the Erf form."""
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, Array] = {
        "heads": np.array([ROWS, HEADS, HEAD], np.int64),
        "flat": np.array([ROWS, WIDTH], np.int64),
        "scale": np.array(1 / math.sqrt(HEAD), np.float32),
        "root": np.array(math.sqrt(2), np.float32),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
    }

    def add(kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(*shape: int, scale: float) -> str:
        name = f"w{len(weights)}"
        weights[name] = random(*shape, scale=scale, seed=len(weights))
        return name

    def linear(x: str, inputs: int, outputs: int) -> str:
        product = add("MatMul", [x, weight(inputs, outputs, scale=inputs**-0.5)])
        return add("Add", [product, weight(outputs, scale=0.1)])

    def norm(x: str) -> str:
        return add("LayerNormalization", [x, weight(WIDTH, scale=1), weight(WIDTH, scale=0.1)])

    def heads(x: str, perm: list[int]) -> str:
        return add("Transpose", [add("Reshape", [linear(x, WIDTH, WIDTH), "heads"])], perm=perm)

    x = "x"
    for _ in range(LAYERS):
        scores = add("MatMul", [heads(x, [1, 0, 2]), heads(x, [1, 2, 0])])
        attention = add("Softmax", [add("Mul", [scores, "scale"])], axis=-1)
        mixed = add("Transpose", [add("MatMul", [attention, heads(x, [1, 0, 2])])], perm=[1, 0, 2])
        x = norm(add("Add", [x, linear(add("Reshape", [mixed, "flat"]), WIDTH, WIDTH)]))
        inner = linear(x, WIDTH, 4 * WIDTH)
        curve = add("Add", [add("Erf", [add("Div", [inner, "root"])]), "one"])
        activated = add("Mul", [add("Mul", [inner, curve]), "half"])
        x = norm(add("Add", [x, linear(activated, 4 * WIDTH, WIDTH)]))
    nodes.append(helper.make_node("Identity", [x], ["y"], name="output"))
    return single_output(nodes, weights)


def transformer_reference(x: Array) -> Array:
    session = onnxruntime.InferenceSession(transformer().SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


def cosine(left: Array, right: Array) -> float:
    return float((left * right).sum() / math.sqrt((left * left).sum() * (right * right).sum()))


def test_a_transformer_in_force_fp16_is_close_and_exactly_half(run: Callable[..., Array]) -> None:
    x = random(ROWS, WIDTH)
    expected = transformer_reference(x)
    actual = run(transformer(), x, "--precision_mode=force_fp16")
    assert np.array_equal(half(actual), actual)
    assert cosine(actual, expected) > 0.9999
    assert 1e-5 < np.abs(actual - expected).max() < 2e-2


def test_a_transformer_in_its_own_precision_equals_float32(run: Callable[..., Array]) -> None:
    x = random(ROWS, WIDTH)
    actual = run(transformer(), x, "--precision_mode=must_keep_origin_dtype")
    np.testing.assert_allclose(actual, transformer_reference(x), rtol=1e-4, atol=2e-5)


def test_a_transformer_in_mixed_precision_lies_between(run: Callable[..., Array]) -> None:
    x = random(ROWS, WIDTH)
    expected = transformer_reference(x)
    error = np.abs(run(transformer(), x, "--precision_mode=allow_mix_precision") - expected).mean()
    forced = np.abs(run(transformer(), x, "--precision_mode=force_fp16") - expected).mean()
    assert 1e-5 < error < forced


def test_output_type_casts_the_outputs_alone(run: Callable[..., Array]) -> None:
    x = random(ROWS, WIDTH)
    narrow = run(transformer(), x, "--output_type=FP16")
    assert narrow.dtype == np.float16
    assert np.array_equal(narrow.astype(np.float32), run(transformer(), x))
