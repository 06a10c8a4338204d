"""The native ModelInfer codec beside the Python handlers, in those cases that chance seldom meets."""

from collections.abc import Iterator, Sequence

import pytest
from npuserve._proto.inference_pb2 import ModelInferRequest
from npuserve.core.elements import join_elements
from npuserve.core.status import StatusCode
from support.infer_agreement import CONFIGS, HANDLERS_KEYS, MOST_PARTS, Both, agree
from support.infer_answers import both_answers
from support.protobuf_fields import field, tag, varint

MODEL = field(1, b"FP32")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with both_answers(tmp_path_factory.mktemp("models"), CONFIGS) as answers:
        yield answers


def group(depth: int) -> bytes:
    return tag(99, 3) * depth + tag(99, 4) * depth


def entry(*parts: bytes) -> bytes:
    """An entry of the request's parameters."""
    return field(4, b"".join(parts))


KEY, VALUE = field(1, b"timeout"), field(2, tag(2, 0) + varint(1))
BAD_VALUE = field(2, field(3, b"a"))
WIRE_CASES = {
    "empty": b"",
    "a varint of 10 bytes": tag(9, 0) + b"\xff" * 9 + b"\x7f",
    "a varint of 11 bytes": tag(9, 0) + b"\x80" * 10 + b"\0",
    "a tag of 5 bytes": tag(9, 0, 4) + b"\0",
    "a tag of 6 bytes": tag(9, 0, 5) + b"\0",
    "a tag beyond 32 bits": b"\x8a\x80\x80\x80\x10\x01a",
    "a length of 10 bytes": field(9, b"a", 9),
    "a length of 11 bytes": field(9, b"a", 10),
    "a length beyond the end": b"\x4a\x05ab",
    "a length of 64 bits": b"\x4a" + varint(2**64 - 1) + b"a",
    "field 0": tag(0, 0) + b"\0",
    "wire type 6": tag(9, 6),
    "wire type 7": tag(9, 7),
    "an end without a group": tag(9, 4),
    "an end in a part without a group": field(5, tag(9, 4)),
    "a group closed outside its part": field(5, tag(9, 3)) + tag(9, 4),
    "a group closed by another": tag(9, 3) + tag(8, 4),
    "a group left open": tag(9, 3),
    "a group of a known number": tag(5, 3) + field(1, b"x") + tag(5, 4),
    "field 0 in a group": tag(9, 3) + tag(0, 0) + b"\0" + tag(9, 4),
    "groups 100 deep": group(100),
    "groups 101 deep": group(101),
    "groups 99 deep in a part": field(5, group(99)),
    "groups 100 deep in a part": field(5, group(100)),
    "groups 98 deep in contents": field(5, field(5, group(98))),
    "groups 99 deep in contents": field(5, field(5, group(99))),
    "groups 98 deep in a parameter": entry(field(2, group(98))),
    "groups 99 deep in a parameter": entry(field(2, group(99))),
    "a fixed 64 cut off": tag(9, 1) + bytes(7),
    "a fixed 32 cut off": tag(9, 5) + bytes(3),
    "a name as a varint": tag(1, 0) + b"\1",
    "a name that is not UTF-8, then another": field(1, b"\xff") + MODEL,
    "a surrogate": field(3, b"\xed\xa0\x80"),
    "an overlong character": field(3, b"\xc0\x80"),
    "the last character": field(3, "\U0010ffff".encode()),
    "beyond the last character": field(3, b"\xf4\x90\x80\x80"),
    "a character cut off": field(3, "abcdefgh€".encode()[:-1]),
    "an entry without a value": entry(KEY),
    "an entry without a key": entry(VALUE),
    "an empty entry": entry(),
    "an entry with two keys": entry(field(1, b"sequence_end"), KEY, VALUE),
    "an entry whose values merge": entry(KEY, VALUE, field(2, b"")),
    "an entry with a later value": entry(KEY, VALUE, BAD_VALUE),
    "an entry with a field more": entry(KEY, BAD_VALUE, tag(3, 0) + b"\1"),
    "an entry with a key of another type": entry(tag(1, 0) + b"\1", KEY, BAD_VALUE),
    "an entry with a key that is not UTF-8": entry(field(1, b"\xff"), tag(3, 0) + b"\1"),
    "an entry in place of another": entry(KEY, BAD_VALUE) + entry(KEY, VALUE),
    "an entry that another cannot replace": entry(KEY, BAD_VALUE) + entry(KEY, VALUE, tag(3, 0) + b"\1"),
    "a string parameter that is not UTF-8": entry(KEY, field(2, field(3, b"\xff"))),
}


@pytest.mark.parametrize("fields", WIRE_CASES.values(), ids=WIRE_CASES.keys())
def test_the_corners_of_the_format_are_protobufs(both: Both, fields: bytes) -> None:
    _, native = both
    message = fields + ModelInferRequest(model_name="FP32").SerializeToString()
    agree(both, message)
    assert native.answer(message) is not None


def string_request(model: str, shape: Sequence[int], raw: bytes) -> ModelInferRequest:
    request = ModelInferRequest(model_name=model, raw_input_contents=[raw])
    request.inputs.add(name="x", datatype="BYTES", shape=shape)
    return request


@pytest.mark.parametrize(
    ("shape", "raw", "words"),
    [
        ((2,), join_elements([b"ab", b""]), ""),
        ((2,), join_elements([b"ab"]), "expected 2 string elements"),
        ((1,), join_elements([b"ab", b"c"]), "unexpected number of string elements 2"),
        ((1,), join_elements([b"ab"]) + b"\1", "incomplete string length indicator"),
        ((1,), join_elements([b"ab"])[:-1], "expecting string of length 2 but only 1 bytes available"),
        ((2,), join_elements([b"ab"])[:-1], "expected 2 string elements"),
        ((1,), b"\xff\xff\xff\xff", "expecting string of length 4294967295 but only 0 bytes"),
        ((2**62,), b"", "expected 4611686018427387904 string elements"),
        ((0,), b"", ""),
    ],
)
def test_string_elements_are_walked_alike(both: Both, shape: Sequence[int], raw: bytes, words: str) -> None:
    answer = agree(both, string_request("strings", shape, raw).SerializeToString())
    assert words in answer.message
    assert (answer.code == StatusCode.OK) == (not words)


def test_no_rows_of_strings_are_refused(both: Both) -> None:
    request = string_request("string_rows", (0, 2), join_elements([b"a", b"b"]))
    assert "batch-size must be >= 1" in agree(both, request.SerializeToString()).message


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2**62, 2**62, 1), 2**124), ((2**63 - 1, 2**63 - 1, 3), 3 * (2**63 - 1) ** 2), ((2**62, 2**62, 0), 0)],
)
def test_huge_shapes_state_their_size(both: Both, shape: Sequence[int], expected: int) -> None:
    _, native = both
    request = ModelInferRequest(model_name="any", raw_input_contents=[b"a"])
    request.inputs.add(name="x", datatype="INT8", shape=shape)
    message = request.SerializeToString()
    assert f"Expected {expected}, got 1" in agree(both, message).message
    assert native.answer(message) is not None


def test_shapes_beyond_128_bits_are_the_handlers(both: Both) -> None:
    _, native = both
    request = ModelInferRequest(model_name="any", raw_input_contents=[b"a"])
    request.inputs.add(name="x", datatype="INT8", shape=(2**62, 2**62, 2**62))
    assert native.answer(request.SerializeToString()) is None


@pytest.mark.parametrize(
    ("dtype", "number", "size", "patterns"),
    [
        ("FP32", 6, 4, (0x7F800001, 0x80000000, 0xFFC00001, 1)),
        ("FP64", 7, 8, (0x7FF0000000000001, 1 << 63, 0xFFF8000000000001, 1)),
    ],
)
def test_floats_keep_their_bits(both: Both, dtype: str, number: int, size: int, patterns: Sequence[int]) -> None:
    """A signalling NaN, negative zero, a negative NaN, a subnormal number: raw and typed."""
    _, native = both
    raw = b"".join(pattern.to_bytes(size, "little") for pattern in patterns)
    head = ModelInferRequest(model_name=dtype).SerializeToString()
    tensor = ModelInferRequest.InferInputTensor(name="x", datatype=dtype, shape=[4]).SerializeToString()
    typed = field(5, field(number, raw))
    for message in (head + field(5, tensor) + field(7, raw), head + field(5, tensor + typed)):
        answer = native.answer(message)
        assert answer is not None
        assert answer.response is not None
        assert answer.response.raw_output_contents[0] == raw


@pytest.mark.parametrize("count", [MOST_PARTS, MOST_PARTS + 1])
@pytest.mark.parametrize("what", ["inputs", "outputs", "raw", "parameters", "dimensions", "pieces"])
def test_more_parts_than_the_codec_keeps_are_the_handlers(both: Both, what: str, count: int) -> None:
    handlers, native = both
    request = ModelInferRequest(model_name="FP32")
    if what == "inputs":
        for index in range(count):
            request.inputs.add(name=str(index))
    elif what == "outputs":
        for index in range(count):
            request.outputs.add(name=str(index))
    elif what == "raw":
        request.raw_input_contents.extend([b""] * count)
    elif what == "parameters":
        for index in range(count):
            request.parameters[str(index)].bool_param = True
    else:
        request.inputs.add(name="x", datatype="FP32", shape=[1] * count if what == "dimensions" else [])
    message = request.SerializeToString()
    if what == "pieces":
        message = ModelInferRequest(model_name="FP32").SerializeToString()
        message += field(5, field(1, b"x") + field(2, b"FP32") + field(5, field(6, bytes(4))) * count)
    seen = native.answer(message)
    if count > MOST_PARTS:
        assert seen is None
    else:
        assert seen == handlers.answer(message)


def test_several_wrong_parameters_are_the_handlers(both: Both) -> None:
    """A map has no order, so which of them the refusal names is theirs to say."""
    _, native = both
    request = ModelInferRequest(model_name="FP32")
    request.parameters["timeout"].bool_param = True
    assert "'timeout'" in agree(both, request.SerializeToString()).message
    request.parameters["sequence_end"].int64_param = 1
    assert native.answer(request.SerializeToString()) is None


@pytest.mark.parametrize("key", sorted(HANDLERS_KEYS))
def test_shared_memory_and_classification_are_the_handlers_once_all_before_is_right(both: Both, key: str) -> None:
    _, native = both
    request = ModelInferRequest(model_name="FP32", raw_input_contents=[bytes(4)])
    request.inputs.add(name="x", datatype="FP32", shape=[1])
    request.outputs.add(name="y").parameters[key].int64_param = 1
    assert native.answer(request.SerializeToString()) is None
    del request.raw_input_contents[:]
    assert "unable to find data" in agree(both, request.SerializeToString()).message
    request.inputs[0].parameters[key].int64_param = 1
    assert native.answer(request.SerializeToString()) is None
    request.inputs.add(name="x")
    assert "already exists" in agree(both, request.SerializeToString()).message
