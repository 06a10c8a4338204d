"""The native ModelInfer codec beside the Python handlers: to every message both give the same answer.

protobuf writes the requests and reads the responses; its own parser decides what is well formed.
"""

import mmap
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from npuserve._proto.inference_pb2 import InferParameter, ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.status import StatusCode
from support.infer_agreement import CONFIGS, HANDLERS_KEYS, NUMERIC, Both, agree
from support.infer_answers import Answer, both_answers
from support.protobuf_fields import field, tag, varint


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with both_answers(tmp_path_factory.mktemp("models"), CONFIGS) as answers:
        yield answers


# --- Requests that are right, and ways to make them wrong.

TYPED_FIELDS = {
    Dtype.BOOL: ("bool_contents", st.booleans()),
    Dtype.INT8: ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    Dtype.INT16: ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    Dtype.INT32: ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    Dtype.INT64: ("int64_contents", st.integers(-(2**63), 2**63 - 1)),
    Dtype.UINT8: ("uint_contents", st.integers(0, 2**32 - 1)),
    Dtype.UINT16: ("uint_contents", st.integers(0, 2**32 - 1)),
    Dtype.UINT32: ("uint_contents", st.integers(0, 2**32 - 1)),
    Dtype.UINT64: ("uint64_contents", st.integers(0, 2**64 - 1)),
    Dtype.FP16: ("fp32_contents", st.floats(width=32)),
    Dtype.BF16: ("fp32_contents", st.floats(width=32)),
    Dtype.FP32: ("fp32_contents", st.floats(width=32)),
    Dtype.FP64: ("fp64_contents", st.floats()),
    Dtype.BYTES: ("bytes_contents", st.binary(max_size=9)),
}
PAGE = mmap.PAGESIZE
TensorMessage = ModelInferRequest.InferInputTensor | ModelInferRequest.InferRequestedOutputTensor
CONVERTED = [Dtype.INT32, Dtype.INT64]
# Of each model: its inputs (name, dtype, dims as a request may state them; -1 is free) and its outputs.
Inputs = list[tuple[str, Dtype, tuple[int, ...]]]
FREE: dict[str, Inputs] = {dtype.value: [("x", dtype, (-1,))] for dtype in NUMERIC}
INPUTS: dict[str, Inputs] = FREE | {
    "batched": [("x", Dtype.FP32, (-1, 2))],
    "fixed": [("x", Dtype.FP32, (2, 3))],
    "any": [("x", Dtype.INT8, (-1, -1, -1))],
    "pair": [("z", Dtype.INT32, (-1, 2)), ("x", Dtype.INT64, (-1, -1))],
    "partial": [("x", Dtype.UINT8, (-1,)), ("z", Dtype.UINT8, (-1,))],
    "reshaped": [("x", Dtype.UINT8, (-1, -1, 4))],
    "scalar": [("x", Dtype.FP32, (-1, 1))],
    "narrowing": [("x", Dtype.INT64, (-1, -1))],
    "widening": [("x", Dtype.INT32, (-1, 2)), ("z", Dtype.INT32, (1,))],
    "unconverted": [("x", Dtype.INT64, (-1,))],
    "strings": [("x", Dtype.BYTES, (-1,))],
    "string_rows": [("x", Dtype.BYTES, (-1, 2))],
}
OUTPUTS = {"pair": ["v", "w"], "widening": ["w", "y"], "strings": ["raw"], "string_rows": ["raw"]}
NAMES = st.sampled_from(["x", "y", "z", "v", "w", "raw", "unserved", "", "é", "a\0b", "'"])
SIZES = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 4, 5, 2**31, 2**32, 2**62, 2**63 - 1])
PARAMETER = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"bool_param": st.booleans()}),
    st.fixed_dictionaries({"int64_param": st.sampled_from([-1, 0, 1, 2**63 - 1])}),
    st.fixed_dictionaries({"string_param": st.sampled_from(["", "a"])}),
    st.fixed_dictionaries({"double_param": st.just(0.5)}),
    st.fixed_dictionaries({"uint64_param": st.just(2**64 - 1)}),
)
REQUEST_KEYS = st.sampled_from(
    [
        "priority",
        "timeout",
        "sequence_id",
        "sequence_start",
        "sequence_end",
        "triton_enable_empty_final_response",
        "triton_",
        "triton",
        "",
        "é",
    ]
)


def refer(tensor: TensorMessage, region: str, offset: int, size: int) -> None:
    tensor.parameters["shared_memory_region"].string_param = region
    tensor.parameters["shared_memory_byte_size"].int64_param = size
    if offset:
        tensor.parameters["shared_memory_offset"].int64_param = offset


@st.composite
def requests(draw: st.DrawFn) -> ModelInferRequest:
    """A request that its model accepts."""
    model = draw(st.sampled_from(sorted(INPUTS)))
    request = ModelInferRequest(model_name=model, id=draw(st.sampled_from(["", "7", "é"])))
    rows = draw(st.integers(1, 4))
    raw = draw(st.booleans())
    for name, declared, dims in draw(st.permutations(INPUTS[model])):
        converts = declared in CONVERTED and model != "unconverted"
        dtype = draw(st.sampled_from(CONVERTED)) if converts else declared
        shape = [draw(st.integers(0, 3)) if size == -1 else size for size in dims]
        if CONFIGS[model].startswith("max_batch_size"):
            shape[0] = rows
        tensor = request.inputs.add(name=name, datatype=dtype.value, shape=shape)
        count = int(np.prod(shape))
        if count and dtype is not Dtype.BYTES and draw(st.sampled_from([False, False, True])):
            size = count * dtype.size_bytes
            refer(tensor, draw(st.sampled_from(["r", "half"])), draw(st.integers(0, PAGE - size)), size)
        elif dtype in TYPED_FIELDS and not raw:
            field, values = TYPED_FIELDS[dtype]
            getattr(tensor.contents, field).extend(draw(st.lists(values, min_size=count, max_size=count)))
        elif dtype is Dtype.BYTES:
            request.raw_input_contents.append(
                join_elements(draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count)))
            )
        else:
            size = count * dtype.size_bytes
            request.raw_input_contents.append(draw(st.binary(min_size=size, max_size=size)))
    for name in draw(st.lists(st.sampled_from(OUTPUTS.get(model, ["y"])), unique=True)):
        output = request.outputs.add(name=name)
        if draw(st.booleans()):
            refer(output, "r", PAGE + 1024 * len(request.outputs) + draw(st.integers(0, 3)), 1000)
    for key in draw(st.lists(st.sampled_from(["a", "b"]), unique=True)):
        request.parameters[key].string_param = "s"
    return request


def break_input(draw: st.DrawFn, request: ModelInferRequest) -> None:
    tensor = draw(st.sampled_from(list(request.inputs) or [request.inputs.add()]))
    what = draw(st.sampled_from(["name", "datatype", "shape", "size", "parameters", "contents", "no contents"]))
    event(f"broken: {what}")
    if what == "name":
        tensor.name = draw(NAMES)
    elif what == "datatype":
        tensor.datatype = draw(st.sampled_from([*(dtype.value for dtype in Dtype), "", "fp32"]))
    elif what == "shape":
        tensor.shape[:] = draw(st.lists(SIZES, max_size=4))
    elif what == "size" and tensor.shape:
        tensor.shape[draw(st.integers(0, len(tensor.shape) - 1))] = draw(SIZES)
    elif what == "parameters":
        key = draw(st.sampled_from([*sorted(HANDLERS_KEYS), "other"]))
        tensor.parameters[key].CopyFrom(InferParameter(**draw(PARAMETER)))
    elif what == "contents":
        field, values = draw(st.sampled_from(list(TYPED_FIELDS.values())))
        getattr(tensor.contents, field).extend(draw(st.lists(values, max_size=4)))
    elif what == "no contents":
        tensor.ClearField("contents")


def add_output(draw: st.DrawFn, request: ModelInferRequest) -> None:
    output = request.outputs.add(name=draw(NAMES))
    if draw(st.booleans()):
        key = draw(st.sampled_from([*sorted(HANDLERS_KEYS), "other"]))
        output.parameters[key].CopyFrom(InferParameter(**draw(PARAMETER)))


def break_request(draw: st.DrawFn, request: ModelInferRequest) -> None:
    what = draw(
        st.sampled_from(["input", "less", "output", "raw", "raw bytes", "parameter", "model", "no ids", "twice"])
    )
    event(f"broken: {what}")
    if what == "input":
        request.inputs.add(name=draw(NAMES), datatype="FP32", shape=[1])
    elif what == "less" and request.inputs:
        del request.inputs[draw(st.integers(0, len(request.inputs) - 1))]
    elif what == "twice" and request.inputs:
        request.inputs.append(request.inputs[0])
    elif what == "output":
        add_output(draw, request)
    elif what == "raw":
        request.raw_input_contents[:] = draw(st.lists(st.binary(max_size=9), max_size=3))
    elif what == "raw bytes" and request.raw_input_contents:
        raw = bytearray(request.raw_input_contents[0])
        cut = draw(st.integers(0, len(raw)))
        request.raw_input_contents[0] = bytes(raw[:cut]) + draw(st.binary(max_size=5)) + bytes(raw[cut:])
    elif what == "parameter":
        request.parameters[draw(REQUEST_KEYS)].CopyFrom(InferParameter(**draw(PARAMETER)))
    elif what == "model":
        request.model_name = draw(st.sampled_from([*CONFIGS, "", "none"]))
        request.model_version = draw(st.sampled_from(["", "1", "2", "x"]))
    elif what == "no ids":
        request.id = ""


@st.composite
def broken_requests(draw: st.DrawFn) -> ModelInferRequest:
    request = draw(requests())
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from([break_input, break_request]))(draw, request)
    return request


# --- Integers of the other width.


def integers(model: str, dtype: Dtype, shape: tuple[int, ...], values: list[int], request_id: str = "") -> bytes:
    request = ModelInferRequest(model_name=model, id=request_id)
    request.inputs.add(name="x", datatype=dtype.value, shape=shape)
    request.raw_input_contents.append(np.array(values, dtype.numpy).tobytes())
    return request.SerializeToString()


LEAST, MOST = -(2**31), 2**31 - 1


@pytest.mark.parametrize("dtype", CONVERTED)
@pytest.mark.parametrize(("model", "declared"), [("INT32", np.int32), ("INT64", np.int64), ("narrowing", np.int64)])
def test_what_fits_is_carried_over_and_comes_back_as_declared(
    both: Both, model: str, declared: type[np.generic], dtype: Dtype
) -> None:
    shape = (1, 4) if model == "narrowing" else (4,)
    answer = agree(both, integers(model, dtype, shape, [LEAST, -1, 0, MOST]))
    assert answer.response is not None
    assert answer.response.outputs[0].datatype == np.dtype(declared).name.upper()
    assert np.frombuffer(answer.response.raw_output_contents[0], declared).tolist() == [LEAST, -1, 0, MOST]


@pytest.mark.parametrize(("model", "value"), [("INT32", MOST + 1), ("narrowing", LEAST - 1), ("narrowing", 2**63 - 1)])
def test_what_does_not_fit_is_refused_by_its_place(both: Both, model: str, value: int) -> None:
    shape = (2, 2) if model == "narrowing" else (4,)
    assert agree(both, integers(model, Dtype.INT64, shape, [0, MOST, value, -(2**40)], "7")) == Answer(
        StatusCode.INVALID_ARGUMENT,
        f"[request id: 7] input 'x' for model '{model}' has value {value} at index 2, which does not fit INT32",
    )


def test_an_output_that_does_not_fit_is_the_models_failure(both: Both) -> None:
    request = ModelInferRequest(model_name="widening")
    request.inputs.add(name="z", datatype="INT32", shape=(1,))
    request.inputs.add(name="x", datatype="INT64", shape=(1, 2))
    request.raw_input_contents.extend([bytes(4), np.array([5, 2**31]).tobytes()])
    assert agree(both, request.SerializeToString()) == Answer(
        StatusCode.INTERNAL, "output 'w' of model 'widening' has value 2147483648 at index 1, which does not fit INT32"
    )
    request.outputs.add(name="y")
    answer = agree(both, request.SerializeToString())
    assert answer.response is not None
    assert list(answer.response.raw_output_contents) == [bytes(4)]


def test_a_model_that_does_not_convert_refuses_the_other_type(both: Both) -> None:
    assert agree(both, integers("unconverted", Dtype.INT32, (1,), [1])) == Answer(
        StatusCode.INVALID_ARGUMENT,
        "[request id: <id_unknown>] inference input 'x' data-type is 'INT32', but model 'unconverted' expects 'INT64'",
    )


# --- The wire, written by hand: what protobuf's own writer never makes.

NUMBERS = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 99, 2**29 - 1, 0])
LEAVES = st.one_of(
    st.builds(lambda n, v, p: tag(n, 0) + varint(v, p), NUMBERS, st.integers(0, 2**64 - 1), st.integers(0, 10)),
    st.builds(lambda n, b: tag(n, 1) + b, NUMBERS, st.binary(min_size=8, max_size=8)),
    st.builds(lambda n, b: tag(n, 5) + b, NUMBERS, st.binary(min_size=4, max_size=4)),
    st.builds(field, NUMBERS, st.binary(max_size=10), st.integers(0, 9)),
    st.builds(field, NUMBERS, st.text(max_size=4).map(str.encode)),
    st.builds(tag, NUMBERS, st.sampled_from([4, 6, 7]), st.integers(0, 4)),
)


def nested(children: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    content = st.lists(children, max_size=4).map(b"".join)
    return st.one_of(
        st.builds(field, NUMBERS, content),
        st.builds(lambda n, b, last: tag(n, 3) + b + tag(n ^ last, 4), NUMBERS, content, st.sampled_from([0, 0, 0, 1])),
    )


FIELDS = st.recursive(LEAVES, nested, max_leaves=8)
MODEL = field(1, b"FP32")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid request's bytes, some of them replaced, inserted or cut away."""
    message = bytearray(draw(st.one_of(requests(), broken_requests())).SerializeToString())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(message)))
        end = min(len(message), start + draw(st.integers(0, 3)))
        message[start:end] = draw(st.one_of(st.binary(max_size=3), FIELDS))
    return bytes(message)


def observed(answer: Answer) -> None:
    event(StatusCode(answer.code).name + " " + re.split(r" for |'", answer.message)[0])


EXAMPLES = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(request=requests())
def test_every_valid_request_gets_its_inputs_back(both: Both, request: ModelInferRequest) -> None:
    answer = agree(both, request.SerializeToString())
    assert answer.code == StatusCode.OK or answer.message.endswith(", which does not fit INT32")


@EXAMPLES
@given(request=broken_requests())
def test_broken_requests_are_refused_in_the_handlers_words(both: Both, request: ModelInferRequest) -> None:
    observed(agree(both, request.SerializeToString()))


@EXAMPLES
@given(message=mutated())
def test_mutated_messages_are_read_as_protobuf_reads_them(both: Both, message: bytes) -> None:
    observed(agree(both, message))


@EXAMPLES
@given(fields=st.lists(FIELDS, max_size=6))
def test_any_fields_are_read_as_protobuf_reads_them(both: Both, fields: list[bytes]) -> None:
    observed(agree(both, b"".join([*fields, MODEL])))


@EXAMPLES
@given(fields=st.lists(FIELDS, max_size=6), number=st.sampled_from([4, 5, 6]))
def test_any_fields_of_a_part_are_read_as_protobuf_reads_them(both: Both, fields: list[bytes], number: int) -> None:
    observed(agree(both, MODEL + field(number, b"".join(fields))))


@EXAMPLES
@given(fields=st.lists(FIELDS, max_size=6), dtype=st.sampled_from(sorted(TYPED_FIELDS, key=str)))
def test_any_fields_of_contents_are_read_as_protobuf_reads_them(both: Both, fields: list[bytes], dtype: Dtype) -> None:
    model = "strings" if dtype is Dtype.BYTES else dtype.value
    contents = b"".join(field(5, part) for part in fields)
    head = ModelInferRequest(model_name=model).SerializeToString()
    tensor = field(1, b"x") + field(2, dtype.value.encode()) + tag(3, 0)
    for count in range(3):
        observed(agree(both, head + field(5, tensor + varint(count) + contents)))
