"""Checks the parameters of a ModelInfer request and of its tensors, with Triton's sentences."""

from collections.abc import Mapping

from npuserve._proto.inference_pb2 import InferParameter, ModelInferRequest
from npuserve.core.errors import invalid
from npuserve.service.regions import SharedMemoryReference

# What each reserved key may hold, and how the refusal names it.
_REQUEST_KINDS = {
    "priority": ({"int64_param", "uint64_param"}, "int64_param or uint64_param."),
    "timeout": ({"int64_param"}, "int64_param."),
    "sequence_id": ({"int64_param", "string_param"}, "int64_param or string_param."),
    "sequence_start": ({"bool_param"}, "bool_param."),
    "sequence_end": ({"bool_param"}, "bool_param."),
    "triton_enable_empty_final_response": ({"bool_param"}, "bool_param."),
}
_CUSTOM_KINDS = (
    {"int64_param", "bool_param", "string_param", "double_param"},
    "int64_param, bool_param, or string_param.",
)
_SHARED_MEMORY_KINDS = {
    "shared_memory_region": "string_param",
    "shared_memory_offset": "int64_param",
    "shared_memory_byte_size": "int64_param",
}


def check_request_parameters(request: ModelInferRequest) -> None:
    """Refuse parameters of the wrong kind or under a reserved key. Raises ServeError (INVALID_ARGUMENT)."""
    if not request.parameters:
        return
    for key, value in request.parameters.items():
        if key not in _REQUEST_KINDS and key.startswith("triton_"):
            raise invalid(
                "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys "
                "starting with 'triton_' are allowed: triton_enable_empty_final_response"
            )
        kinds, expected = _REQUEST_KINDS.get(key, _CUSTOM_KINDS)
        if value.WhichOneof("parameter_choice") not in kinds:
            raise invalid(f"invalid value type for '{key}' parameter, expected {expected}")
        if key == "priority" and value.int64_param < 0:
            raise invalid("invalid value for 'priority', expected value >= 0.")


def shared_memory_reference(tensor: str, parameters: Mapping[str, InferParameter]) -> SharedMemoryReference | None:
    """Return the region that a tensor's parameters name, None if none. Raises ServeError (INVALID_ARGUMENT)."""
    for key, kind in _SHARED_MEMORY_KINDS.items():
        if key in parameters and parameters[key].WhichOneof("parameter_choice") != kind:
            raise invalid(f"invalid value type for '{key}' parameter for tensor '{tensor}', expected {kind}.")
    if "shared_memory_region" not in parameters:
        for key in ("shared_memory_offset", "shared_memory_byte_size"):
            if key in parameters:
                raise invalid(
                    f"'{key}' can not be specified without 'shared_memory_region' parameter for tensor '{tensor}'"
                )
        return None
    if "shared_memory_byte_size" not in parameters:
        raise invalid(
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor "
            f"'{tensor}'"
        )
    return SharedMemoryReference(
        region=parameters["shared_memory_region"].string_param,
        offset=parameters["shared_memory_offset"].int64_param if "shared_memory_offset" in parameters else 0,
        byte_size=parameters["shared_memory_byte_size"].int64_param,
    )


def class_count(parameters: Mapping[str, InferParameter]) -> int:
    """Return how many classes an output's parameters ask for, 0 for none. Raises ServeError (INVALID_ARGUMENT)."""
    if "classification" not in parameters:
        return 0
    value = parameters["classification"]
    if value.WhichOneof("parameter_choice") != "int64_param":
        raise invalid("invalid value type for 'classification' parameter, expected int64_param")
    if value.int64_param <= 0:
        raise invalid("invalid value for 'classification' parameter, expected >= 0")
    return value.int64_param


def wants_typed_contents(request: ModelInferRequest) -> bool:
    """Say whether an output is asked for as typed contents, which makes it all of them: `binary_data` is false."""
    for output in request.outputs:
        if output.parameters and "binary_data" in output.parameters:
            value = output.parameters["binary_data"]
            if value.WhichOneof("parameter_choice") == "bool_param" and not value.bool_param:
                return True
    return False
