"""ModelInfer requests that Triton 2.51 was seen to refuse, and those that it lets pass, each under its name."""

from collections.abc import Callable

from support.infer_requests import INPUT0, INPUT1, pair_request, typed_request
from tritonclient.grpc.service_pb2 import ModelInferRequest as Request

NO_ID = "[request id: <id_unknown>] "
NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
NO_NUMBER = "(details: stol), version should be an integral value > 0"
RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with "
    "'triton_' are allowed: triton_enable_empty_final_response"
)


def with_outputs(*names: str, request: Request | None = None) -> Request:
    request = request or pair_request()
    for name in names:
        request.outputs.add(name=name)
    return request


def edited(edit: Callable[[Request], object], request: Request | None = None) -> Request:
    request = request or pair_request()
    edit(request)
    return request


def parameter(key: str, kind: str | None = None, value: object = None) -> Request:
    request = pair_request()
    if kind is None:
        request.parameters[key].SetInParent()
    else:
        setattr(request.parameters[key], kind, value)
    return request


def input_parameters(**parameters: int | str) -> Request:
    request = pair_request()
    for key, value in parameters.items():
        setattr(request.inputs[0].parameters[key], "string_param" if isinstance(value, str) else "int64_param", value)
    return request


def output_parameters(**parameters: int | str) -> Request:
    request = with_outputs("OUTPUT0")
    for key, value in parameters.items():
        setattr(request.outputs[0].parameters[key], "string_param" if isinstance(value, str) else "int64_param", value)
    return request


def typed(field: str, value: object, *, datatype: str = "INT32", keep: bool = False) -> Request:
    request = typed_request()
    if not keep:
        request.inputs[0].contents.ClearField("int_contents")
    getattr(request.inputs[0].contents, field).append(value)
    request.inputs[0].datatype = datatype
    return request


def wrong_field(given: str, expected: str) -> str:
    return (
        "unexpected explicit tensor data for input tensor 'INPUT0' for model 'pair' of type "
        f"'{given}', expected datatype '{expected}'"
    )


def count(given: int, names: str, missing: str, model: str = "pair", expected: int = 2) -> str:
    return (
        f"expected {expected} inputs but got {given} inputs for model '{model}'. Got input(s) {names}, but missing "
        f"required input(s) {missing}. Please provide all required input(s)."
    )


LOOKUP = {
    "unknown model": (pair_request(model_name="M"), "NOT_FOUND", "Request for unknown model: 'M' is not found"),
    "empty model name": (pair_request(model_name=""), "NOT_FOUND", "Request for unknown model: '' is not found"),
    "unknown version": (
        pair_request(model_version="7"),
        "NOT_FOUND",
        "Request for unknown model: 'pair' version 7 is not found",
    ),
    "version 0": (
        pair_request(model_version="0"),
        "NOT_FOUND",
        "Request for unknown model: 'pair' version 0 is not found",
    ),
    "version not a number": (
        pair_request(model_version="abc"),
        "INVALID_ARGUMENT",
        f"failed to get model version from specified version string 'abc' {NO_NUMBER}",
    ),
    "version before model": (
        pair_request(model_name="M", model_version="abc"),
        "INVALID_ARGUMENT",
        f"failed to get model version from specified version string 'abc' {NO_NUMBER}",
    ),
    "negative version": (
        pair_request(model_version="-2"),
        "INVALID_ARGUMENT",
        "invalid model version specified '-2' , version should be an integral value > 0",
    ),
}

NAMES = {
    "unknown input": (pair_request(INPUT0, ("X", "INT32", (1, 16))), "unexpected inference input 'X' for model 'pair'"),
    "unknown input before batch": (
        pair_request(INPUT0, ("X", "INT32", (2, 16))),
        "unexpected inference input 'X' for model 'pair'",
    ),
    "too few inputs": (
        pair_request(INPUT0, id="q"),
        "[request id: q] " + count(1, "['INPUT0']", "['INPUT1']"),
    ),
    "no inputs": (
        edited(lambda r: (r.ClearField("inputs"), r.ClearField("raw_input_contents"))),
        NO_ID + count(0, "[]", "['INPUT0','INPUT1']"),
    ),
    "too many inputs": (
        pair_request(INPUT0, INPUT1, ("X", "INT32", (1, 16))),
        NO_ID + count(3, "['INPUT0','INPUT1','X']", "]"),
    ),
    "duplicate input": (pair_request(INPUT0, INPUT0), NO_ID + "input 'INPUT0' already exists in request"),
    "unknown output": (with_outputs("NOPE"), "unexpected inference output 'NOPE' for model 'pair'"),
    "unknown output before input count": (
        with_outputs("NOPE", request=pair_request(INPUT0)),
        "unexpected inference output 'NOPE' for model 'pair'",
    ),
    # 2.51 answers such a request, 2.73 refuses it so.
    "duplicate output": (with_outputs("OUTPUT1", "OUTPUT1"), NO_ID + "output 'OUTPUT1' already exists in request"),
}

SHAPES = {
    "wrong datatype": (
        pair_request(("INPUT0", "FP32", (1, 16)), INPUT1),
        NO_ID + "inference input 'INPUT0' data-type is 'FP32', but model 'pair' expects 'INT32'",
    ),
    "unknown datatype": (
        pair_request(("INPUT0", "int32", (1, 16)), INPUT1),
        NO_ID + "inference input 'INPUT0' data-type is '<invalid>', but model 'pair' expects 'INT32'",
    ),
    "empty datatype": (
        pair_request(("INPUT0", "", (1, 16)), INPUT1),
        NO_ID + "inference input 'INPUT0' data-type is '<invalid>', but model 'pair' expects 'INT32'",
    ),
    "wrong shape": (
        pair_request(("INPUT0", "INT32", (1, 15)), INPUT1),
        NO_ID + f"unexpected shape for input 'INPUT0' for model 'pair'. Expected [-1,16], got [1,15]. {NOTE}",
    ),
    "wrong rank": (
        pair_request(("INPUT0", "INT32", (1, 4, 4)), INPUT1),
        NO_ID + f"unexpected shape for input 'INPUT0' for model 'pair'. Expected [-1,16], got [1,4,4]. {NOTE}",
    ),
    "wrong shape without batching": (
        pair_request(("INPUT0", "FP32", (3, 2)), model_name="fixed", id="z"),
        "[request id: z] unexpected shape for input 'INPUT0' for model 'fixed'. Expected [2,3], got [3,2]. ",
    ),
    "rank 0 without batching": (
        pair_request(("INPUT0", "FP32", ()), model_name="fixed"),
        NO_ID + "unexpected shape for input 'INPUT0' for model 'fixed'. Expected [2,3], got []. ",
    ),
    "rank 0": (
        pair_request(("INPUT0", "INT32", ()), INPUT1),
        NO_ID + "input 'INPUT0' has no shape but model requires batch dimension for 'pair'",
    ),
    "batch dimension forgotten": (
        pair_request(("INPUT0", "INT32", (16,)), ("INPUT1", "INT32", (16,))),
        NO_ID + "inference request batch-size must be <= 8 for 'pair'",
    ),
    "inputs disagree on batch": (
        pair_request(INPUT0, ("INPUT1", "INT32", (2, 16))),
        NO_ID + "input 'INPUT1' batch size does not match other inputs for 'pair'",
    ),
    "batch over the maximum": (
        pair_request(("INPUT0", "INT32", (9, 16)), ("INPUT1", "INT32", (9, 16))),
        NO_ID + "inference request batch-size must be <= 8 for 'pair'",
    ),
    "dimension -1": (
        pair_request(("INPUT0", "INT32", (1, -1)), INPUT1),
        NO_ID + "All input dimensions should be specified for input 'INPUT0' for model 'pair', got [1,-1]",
    ),
    "batch of 0": (
        pair_request(("INPUT0", "INT32", (0, 16)), ("INPUT1", "INT32", (0, 16))),
        NO_ID + "input byte size mismatch for input 'INPUT0' for model 'pair'. Expected 64, got 0",
    ),
    # Triton lets this through to the backend, which then fails.
    "batch of 0 with a row": (
        pair_request(("INPUT0", "INT32", (0, 16)), ("INPUT1", "INT32", (0, 16)), raw=[bytes(64)] * 2),
        NO_ID + "inference request batch-size must be >= 1 for 'pair'",
    ),
    "raw too short": (
        pair_request(raw=[bytes(60), bytes(64)]),
        NO_ID + "input byte size mismatch for input 'INPUT0' for model 'pair'. Expected 64, got 60",
    ),
    "raw too long": (
        pair_request(raw=[bytes(68), bytes(64)]),
        NO_ID + "input byte size mismatch for input 'INPUT0' for model 'pair'. Expected 64, got 68",
    ),
}

CONTENTS = {
    "raw missing": (
        pair_request(raw=[bytes(64)]),
        "unable to find data for input tensor 'INPUT1' for model 'pair' in request.",
    ),
    "no data": (pair_request(raw=[]), "unable to find data for input tensor 'INPUT0' for model 'pair' in request."),
    "no data before unknown output": (
        with_outputs("NOPE", request=pair_request(raw=[])),
        "unable to find data for input tensor 'INPUT0' for model 'pair' in request.",
    ),
    "duplicate before no data": (
        pair_request(INPUT0, INPUT0, raw=[]),
        NO_ID + "input 'INPUT0' already exists in request",
    ),
    "typed missing": (
        edited(lambda r: r.inputs[1].ClearField("contents"), typed_request()),
        "unable to find data for input tensor 'INPUT1' for model 'pair' in request.",
    ),
    "raw and typed": (
        edited(lambda r: r.raw_input_contents.append(bytes(64)), typed_request()),
        "contents field must not be specified when using raw_input_contents for 'INPUT0' for model 'pair'",
    ),
    "typed in the wrong field": (typed("fp32_contents", 1.0), wrong_field("FP32", "INT32")),
    "typed in the wrong field, unsigned": (typed("uint_contents", 1), wrong_field("UINT32", "INT32")),
    "integers typed as half": (typed("int_contents", 1, datatype="FP16"), wrong_field("INT32", "FP16")),
    "doubles typed as bfloat": (typed("fp64_contents", 1.0, datatype="BF16"), wrong_field("FP64", "BF16")),
    "typed of no datatype": (typed("int_contents", 1, datatype=""), wrong_field("INT32", "<invalid>")),
    "two typed fields": (
        typed("fp32_contents", 1.0, keep=True),
        "unexpected explicit tensor data for input tensor 'INPUT0' for model 'pair', binary data was already supplied.",
    ),
    "two typed fields, the wrong one first": (typed("bool_contents", True, keep=True), wrong_field("BOOL", "INT32")),
    "typed but empty": (
        edited(lambda r: r.inputs[0].contents.ClearField("int_contents"), typed_request()),
        NO_ID + "input byte size mismatch for input 'INPUT0' for model 'pair'. Expected 64, got 0",
    ),
    "typed too long": (
        typed("int_contents", 1, keep=True),
        NO_ID + "input byte size mismatch for input 'INPUT0' for model 'pair'. Expected 64, got 68",
    ),
    "typed of another datatype": (
        typed("int_contents", 1, datatype="INT8"),
        NO_ID + "inference input 'INPUT0' data-type is 'INT8', but model 'pair' expects 'INT32'",
    ),
}

PARAMETERS = {
    "priority below 0": (
        parameter("priority", "int64_param", -1),
        "invalid value for 'priority', expected value >= 0.",
    ),
    "priority of the wrong kind": (
        parameter("priority", "string_param", "1"),
        "invalid value type for 'priority' parameter, expected int64_param or uint64_param.",
    ),
    "timeout of the wrong kind": (
        parameter("timeout", "uint64_param", 1),
        "invalid value type for 'timeout' parameter, expected int64_param.",
    ),
    "sequence id where nothing is kept": (
        parameter("sequence_id", "string_param", "s"),
        "[request id: <id_unknown>] sequence_id 's' was given, but model 'pair' has no sequence_batching; leave it "
        "out, or configure sequence_batching",
    ),
    "sequence_id of the wrong kind": (
        parameter("sequence_id", "bool_param", True),
        "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
    ),
    "sequence_start of the wrong kind": (
        parameter("sequence_start", "int64_param", 1),
        "invalid value type for 'sequence_start' parameter, expected bool_param.",
    ),
    "sequence_end unset": (
        parameter("sequence_end"),
        "invalid value type for 'sequence_end' parameter, expected bool_param.",
    ),
    "empty final response of the wrong kind": (
        parameter("triton_enable_empty_final_response", "int64_param", 1),
        "invalid value type for 'triton_enable_empty_final_response' parameter, expected bool_param.",
    ),
    "reserved key": (parameter("triton_x", "bool_param", True), RESERVED),
    "custom uint64": (
        parameter("u", "uint64_param", 1),
        "invalid value type for 'u' parameter, expected int64_param, bool_param, or string_param.",
    ),
    "custom unset": (
        parameter("u"),
        "invalid value type for 'u' parameter, expected int64_param, bool_param, or string_param.",
    ),
    "parameter before duplicate input": (
        edited(lambda r: r.inputs.add(name="INPUT0"), parameter("priority", "int64_param", -1)),
        "invalid value for 'priority', expected value >= 0.",
    ),
    "classification of the wrong kind": (
        output_parameters(classification="2"),
        "invalid value type for 'classification' parameter, expected int64_param",
    ),
    "classification of 0": (
        output_parameters(classification=0),
        "invalid value for 'classification' parameter, expected >= 0",
    ),
    "classification and region": (
        output_parameters(classification=2, shared_memory_region="r", shared_memory_byte_size=64),
        "output can't set both 'shared_memory_region' and 'classification'",
    ),
    "region without size": (
        input_parameters(shared_memory_region="r"),
        "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor 'INPUT0'",
    ),
    "offset without region": (
        output_parameters(shared_memory_offset=1),
        "'shared_memory_offset' can not be specified without 'shared_memory_region' parameter for tensor 'OUTPUT0'",
    ),
    "region of the wrong kind": (
        input_parameters(shared_memory_region=1),
        "invalid value type for 'shared_memory_region' parameter for tensor 'INPUT0', expected string_param.",
    ),
    "offset of the wrong kind": (
        input_parameters(shared_memory_region="r", shared_memory_offset="1"),
        "invalid value type for 'shared_memory_offset' parameter for tensor 'INPUT0', expected int64_param.",
    ),
    "contents and region": (
        edited(
            lambda r: r.inputs[0].contents.int_contents.append(1),
            input_parameters(shared_memory_region="r", shared_memory_byte_size=64),
        ),
        "unexpected 'content' provided when using shared memory for input tensor 'INPUT0' for model 'pair'",
    ),
}

# All of these are INVALID_ARGUMENT.
INVALID = {**NAMES, **SHAPES, **CONTENTS, **PARAMETERS}

ACCEPTED = {
    "version with leading zero": pair_request(model_version="01"),
    "version with trailing text": pair_request(model_version="1abc"),
    "more raw entries than inputs": pair_request(raw=[bytes(64), bytes(64), b"x"]),
    "typed contents": typed_request(),
    "priority": parameter("priority", "uint64_param", 7),
    "timeout": parameter("timeout", "int64_param", -1),
    "custom double": parameter("u", "double_param", 1.5),
    "unknown tensor parameter": input_parameters(foo=1),
}
