"""Inference requests over gRPC that must be refused: every error of the protocol, without an id and with one."""

from typing import Any

from support.golden_calls import NamedCalls, Tensor, Unary, floats, infer, integers, strings, text, values
from support.golden_inference import wire_name


def refusals() -> NamedCalls:
    yield from _lookup()
    yield from _inputs()
    yield from _shapes()
    yield from _contents()
    yield from _texts()
    yield from _outputs()
    yield from _parameters()
    yield from _execution()
    yield from _several()


def _three(**options: Any) -> Tensor:
    return floats("INPUT0", (1, 3), 1, 2, 3, **options)


def _pair() -> tuple[Tensor, Tensor]:
    return integers("INPUT0", (1, 16), *range(16)), integers("INPUT1", (1, 16), *range(16))


def _lookup() -> NamedCalls:
    yield "unknown model", infer("nope", _three())
    yield "empty model name", infer("", _three())
    for version in ("7", "abc", "-2", "1.5", "99999999999999999999", " 1", "+1"):
        yield f"unknown version '{version}'", infer("copy_FP32", _three(), version=version)
    yield "unknown model and version", infer("nope", _three(), version="abc")
    yield "decoupled model", infer("repeat", integers("INPUT0", (1,), 2))


def _inputs() -> NamedCalls:
    first, second = _pair()
    renamed = integers("INPUT9", (1, 16), *range(16))
    for id in ("", "the id"):
        said = f", id '{id}'"
        yield "too few inputs" + said, infer("simple", first, id=id)
        yield "no inputs" + said, infer("simple", id=id)
        yield "too many inputs" + said, infer("simple", first, second, renamed, id=id)
        yield "an unknown input" + said, infer("simple", first, renamed, id=id)
        yield "an input twice" + said, infer("simple", first, first, id=id)
        yield "wrong data type" + said, infer("simple", first, floats("INPUT1", (1, 16), *range(16)), id=id)
        yield "no batch where optional input is" + said, infer("optional", id=id)
        yield "too many where one is optional" + said, infer("optional", first, second, renamed, id=id)
    only_optional = integers("INPUT1", (1, 2), 1, 2)
    yield "only the optional input", infer("optional", only_optional)
    for datatype in ("", "FLOAT", "fp32", "STRING", "TYPE_FP32"):
        yield f"data type '{datatype}'", infer("copy_FP32", Tensor(datatype=datatype, shape=(1, 3), raw=bytes(12)))
    yield "data type BYTES for FP32", infer("copy_FP32", text("a", "b", "c", shape=(1, 3)))


def _shapes() -> NamedCalls:
    for id in ("", "7"):
        said = f", id '{id}'"
        yield "wrong width" + said, infer("copy_FP32", floats("INPUT0", (1, 2), 1, 2), id=id)
        yield "wrong rank" + said, infer("copy_FP32", floats("INPUT0", (1, 3, 1), 1, 2, 3), id=id)
        yield "no batch dimension" + said, infer("copy_FP32", floats("INPUT0", (3,), 1, 2, 3), id=id)
        yield "no shape" + said, infer("copy_FP32", floats("INPUT0", (), 1), id=id)
        yield "batch too large" + said, infer("copy_FP32", floats("INPUT0", (9, 3), *range(27)), id=id)
        yield (
            "batch too large without a request's width" + said,
            infer("variable", floats("INPUT0", (9, 1), *range(9)), id=id),
        )
        yield "wrong shape without batching" + said, infer("plain", floats("INPUT0", (3, 2), *range(6)), id=id)
        yield "wrong rank without batching" + said, infer("plain", floats("INPUT0", (6,), *range(6)), id=id)
        yield "no rows" + said, infer("copy_FP32", floats("INPUT0", (0, 3)), id=id)
        yield "a dimension of -1" + said, infer("variable", floats("INPUT0", (1, -1), 1), id=id)
        yield "a dimension of -2" + said, infer("variable", floats("INPUT0", (1, -2), 1), id=id)
        yield "a batch of -1" + said, infer("variable", floats("INPUT0", (-1, 1), 1), id=id)
        yield "too few bytes" + said, infer("copy_FP32", floats("INPUT0", (1, 3), 1, 2), id=id)
        yield "too many bytes" + said, infer("copy_FP32", floats("INPUT0", (1, 3), 1, 2, 3, 4), id=id)
        yield "no bytes" + said, infer("copy_FP32", floats("INPUT0", (1, 3)), id=id)
    yield "reshaped, wrong shape", infer("reshaped_matrix", floats("INPUT0", (2, 2), 1, 2, 3, 4))
    first, second = integers("INPUT0", (1, 16), *range(16)), integers("INPUT1", (2, 16), *range(32))
    yield "batches disagree", infer("optional", integers("INPUT0", (1, 2), 1, 2), integers("INPUT1", (1, 3), 1, 2, 3))
    yield "wrong shape of the second input", infer("simple", first, integers("INPUT1", (1, 8), *range(8)))
    yield (
        "wrong type of the first, wrong shape of the second",
        infer("simple", floats("INPUT0", (1, 16), *range(16)), integers("INPUT1", (1, 8), *range(8))),
    )
    del second


def _contents() -> NamedCalls:
    first, second = _pair()
    bare = Tensor(name="INPUT1", datatype="INT32", shape=(1, 16))
    yield "no data for the second input", infer("simple", first, bare)
    yield "no data at all", infer("copy_FP32", Tensor(shape=(1, 3)))
    both = Tensor(shape=(1, 3), raw=bytes(12), contents=("fp32_contents", [1, 2, 3]))
    yield "raw and typed", infer("copy_FP32", both)
    typed = Tensor(name="INPUT1", datatype="INT32", shape=(1, 16), contents=("int_contents", range(16)))
    yield "one raw and one typed", infer("simple", first, typed)
    for dtype, field, numbers in (
        *(("FP32", "int_contents", [1, 2, 3]), ("INT8", "fp32_contents", [1.0, 2.0, 3.0])),
        *(("BOOL", "int_contents", [1, 0, 1]), ("STRING", "fp32_contents", [1.0, 2.0, 3.0])),
        *(("UINT8", "int_contents", [1, 2, 3]), ("INT64", "int_contents", [1, 2, 3])),
        *(("UINT64", "uint_contents", [1, 2, 3]), ("FP64", "fp32_contents", [1.0, 2.0, 3.0])),
        *(("FP16", "fp32_contents", [1.0, 2.0, 3.0]), ("BF16", "fp32_contents", [1.0, 2.0, 3.0])),
        *(("FP16", "fp64_contents", [1.0, 2.0, 3.0]), ("BF16", "uint_contents", [1, 2, 3])),
    ):
        tensor = Tensor(datatype=wire_name(dtype), shape=(1, 3), contents=(field, numbers))
        yield f"{dtype} in {field}", infer(f"copy_{dtype}", tensor)
    yield "too few typed elements", infer("copy_FP32", Tensor(shape=(1, 3), contents=("fp32_contents", [1.0])))
    yield "too many typed elements", infer("copy_FP32", Tensor(shape=(1, 3), contents=("fp32_contents", [1.0] * 4)))
    yield "empty contents", infer("copy_FP32", Tensor(shape=(1, 3), contents=("fp32_contents", [])))
    two = infer("copy_FP32", Tensor(shape=(1, 3), contents=("fp32_contents", [1.0, 2.0, 3.0])))
    two.request.inputs[0].contents.int_contents.append(1)  # type: ignore[union-attr]  # a ModelInferRequest
    yield "two typed fields", two
    del second


def _texts() -> NamedCalls:
    for id in ("", "t"):
        for name, raw in {
            "too few texts": strings("a", "b"),
            "too many texts": strings("a", "b", "c", "d"),
            "a length cut short": strings("a", "b") + b"\x01",
            "a text cut short": strings("a", "b") + b"\x05\x00\x00\x00ab",
            "a length of 4 GiB": strings("a", "b") + b"\xff\xff\xff\xff",
            "no texts": b"",
        }.items():
            tensor = Tensor(datatype="BYTES", shape=(1, 3), raw=raw)
            yield f"{name}, id '{id}'", infer("copy_STRING", tensor, id=id)
    few = Tensor(datatype="BYTES", shape=(1, 3), contents=("bytes_contents", [b"a"]))
    yield "too few typed texts", infer("copy_STRING", few)


def _outputs() -> NamedCalls:
    for id in ("", "o"):
        yield f"unknown output, id '{id}'", infer("copy_FP32", _three(), outputs=["NOPE"], id=id)
    yield "unknown output beside a known one", infer("simple", *_pair(), outputs=["OUTPUT0", "OUTPUT2"])
    for value in ("2", True, 1.0, 0, -1, ("uint64_param", 1)):
        yield f"classification {value}", infer("copy_FP32", _three(), outputs=[("OUTPUT0", {"classification": value})])
    unknown = [("NOPE", {"classification": 1})]
    yield "classification of an unknown output", infer("copy_FP32", _three(), outputs=unknown)


def _parameters() -> NamedCalls:
    for name, parameters in {
        "priority below 0": {"priority": -1},
        "priority as text": {"priority": "1"},
        "timeout as text": {"timeout": "1"},
        "timeout as uint64": {"timeout": ("uint64_param", 1)},
        "timeout below 0": {"timeout": -1},
        "sequence_id as flag": {"sequence_id": True},
        "sequence_start as number": {"sequence_start": 1},
        "sequence_end as text": {"sequence_end": "true"},
        "a reserved key": {"triton_secret": 1},
        "final response as number": {"triton_enable_empty_final_response": 1},
        "custom uint64": {"mine": ("uint64_param", 1)},
        "headers": {"headers": "x"},
        "binary_data_output": {"binary_data_output": True},
    }.items():
        yield name, infer("copy_FP32", _three(), parameters=parameters)
    unset = infer("copy_FP32", _three())
    unset.request.parameters["mine"].SetInParent()  # type: ignore[union-attr]  # a ModelInferRequest
    yield "a custom parameter without a value", unset


def _execution() -> NamedCalls:
    for words in (
        *("raise the roof", "plain-error no luck", "error INTERNAL inside", "error NOT_FOUND away"),
        *("error INVALID_ARG wrong", "error UNAVAILABLE later", "error UNSUPPORTED never"),
        *("error ALREADY_EXISTS twice", "error UNKNOWN what", "error CANCELLED stopped"),
    ):
        yield f"model told '{words}'", infer("actor", text(words), id="e")
    yield "the model after all that", infer("actor", text("still here"))
    pair = integers("LEFT", (1, 16), *range(16)), integers("RIGHT", (1, 16), *range(16))
    yield "ensemble, too few inputs", infer("ensemble", pair[0])
    yield "ensemble, wrong shape", infer("ensemble", pair[0], integers("RIGHT", (1, 15), *range(15)))
    yield (
        "ensemble, batch too large",
        infer("ensemble", *(integers(name, (9, 16), *range(144)) for name in ("LEFT", "RIGHT"))),
    )
    yield "ensemble, unknown output", infer("ensemble", *pair, outputs=["NOPE"])
    yield "unreadable request", Unary(method="ModelInfer", request=b"\xff\xff\xff")


def _several() -> NamedCalls:
    """Several things wrong in one request: which is named shows the order of the tests."""
    first, second = _pair()
    floating = floats("INPUT1", (1, 15), *range(15))
    bad_class = [("NOPE", {"classification": "x"})]
    for name, call in {
        "version and model": infer("nope", version="x"),
        "parameters before inputs": infer("simple", first, parameters={"priority": -1}),
        "duplicate before missing data": infer("simple", first, Tensor(datatype="INT32", shape=(1, 16))),
        "data before outputs": infer("simple", first, Tensor(name="INPUT1", datatype="INT32"), outputs=["NOPE"]),
        "classification before names": infer("simple", first, second, outputs=bad_class),
        "outputs before counts": infer("simple", first, outputs=["NOPE"]),
        "counts before shapes": infer("simple", integers("INPUT0", (1, 15), *range(15))),
        "batch before types": infer(
            "simple", integers("INPUT0", (9, 16), *range(144)), floats("INPUT1", (9, 16), *range(144))
        ),
        "type before shape": infer("simple", first, floating),
        "parameters before decoupled": infer("repeat", parameters={"priority": -1}),
    }.items():
        yield f"order: {name}", call
    yield (
        "typed FP64 where FP32 is wanted",
        infer("copy_FP32", Tensor(datatype="FP64", shape=(1, 3), raw=values("<f8", 1, 2, 3))),
    )
