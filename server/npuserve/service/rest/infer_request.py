"""Takes the JSON of an infer request apart, with Triton's refusals, in Triton's order."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.request import GivenTensor, InferenceRequest, ParameterValue, RequestedOutput
from npuserve.service.decode import parse_dtype
from npuserve.service.forwarding import forwarded_headers
from npuserve.service.regions import SharedMemoryReference, SharedMemoryRegions
from npuserve.service.rest.exchange import HttpRequest
from npuserve.service.rest.members import (
    as_array,
    as_boolean,
    as_string,
    as_unsigned,
    find,
    internal,
    member,
    members,
    parsing,
)
from npuserve.service.rest.tensor_json import tensor_bytes
from npuserve.service.validate import id_prefix

_Value = TypeVar("_Value")

_BOOLEANS = ("sequence_start", "sequence_end")
_UNSIGNED = ("priority", "timeout")
_LARGEST_SIGNED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DecodedInfer:
    """What a request asks for, and which outputs it wants as raw bytes behind the JSON.

    all_binary: the outputs that it does not name too.
    """

    request: InferenceRequest
    binary_outputs: frozenset[str] = frozenset()
    all_binary: bool = False

    def wants_binary(self, output: str) -> bool:
        """Say whether an output goes behind the JSON."""
        return output in self.binary_outputs if self.request.outputs else self.all_binary


@dataclass(frozen=True, slots=True)
class InferDecoder:
    """Makes an InferenceRequest of an HTTP request's JSON and the bytes that follow it.

    regions: what inputs and outputs may refer to. forward: which headers become parameters; None: none does.
    """

    regions: SharedMemoryRegions
    forward: re.Pattern[str] | None = None

    def decode(self, model: str, version: str, http: HttpRequest, document: object, binary: memoryview) -> DecodedInfer:
        """Return what is asked for; inputs are views into `binary` and into shared memory.

        Raises ServeError: INTERNAL for JSON of the wrong form, INVALID_ARGUMENT, NOT_FOUND (a region).
        """
        request_id = request_id_of(document)
        parameters, all_binary = request_parameters(document)
        inputs = _Inputs(self, model, request_id, http.peer, binary).read(document)
        outputs, binary_outputs = self._outputs(document, request_id, http.peer)
        request = InferenceRequest(
            model=model,
            version=version,
            id=request_id,
            parameters={**self.forwarded(http), **parameters},
            inputs=inputs,
            outputs=outputs,
            front_end="http",
            trace_parent=http.headers.get("traceparent", ""),
        )
        return DecodedInfer(request, binary_outputs, all_binary)

    def forwarded(self, http: HttpRequest) -> Mapping[str, str]:
        """Return the headers that become parameters. Raises ServeError (INVALID_ARGUMENT)."""
        return forwarded_headers(self.forward, http.headers.items()) if self.forward else {}

    def memory(self, parameters: object, peer: str) -> memoryview | None:
        """Return the memory that a tensor's parameters name, None if they name none. Raises ServeError."""
        region = _find_as(as_string, parameters, "shared_memory_region")
        if region is None:
            return None
        offset = _find_as(as_unsigned, parameters, "shared_memory_offset") or 0
        byte_size = _find_as(as_unsigned, parameters, "shared_memory_byte_size") or 0
        self.regions.check_peer(peer)
        return self.regions.memory(SharedMemoryReference(region, offset, byte_size))

    def _outputs(self, document: object, request_id: str, peer: str) -> tuple[list[RequestedOutput], frozenset[str]]:
        given = find(document, "outputs")
        if given is None:
            return [], frozenset()
        with parsing("outputs"):
            elements = as_array(given)
        outputs: dict[str, RequestedOutput] = {}
        binary: set[str] = set()
        for element in elements:
            output, is_binary = self._output(element, peer)
            if output.name in outputs:
                raise invalid(f"{id_prefix(request_id)}output '{output.name}' already exists in request")
            outputs[output.name] = output
            if is_binary:
                binary.add(output.name)
        return list(outputs.values()), frozenset(binary)

    def _output(self, element: object, peer: str) -> tuple[RequestedOutput, bool]:
        with parsing("name"):
            name = as_string(member(element, "name"))
        parameters = find(element, "parameters")
        class_count = 0
        if (classification := find(parameters, "classification")) is not None:
            try:
                class_count = as_unsigned(classification)
            except ServeError as error:
                raise internal(f"Unable to set 'classification': {error}") from error
        is_binary = bool(_find_as(as_boolean, parameters, "binary_data"))
        if find(parameters, "shared_memory_region") is not None:
            for key, is_set in (("classification", class_count > 0), ("binary_data", is_binary)):
                if is_set:
                    raise invalid(f"Output can't set both 'shared_memory_region' and '{key}'")
        destination = self.memory(parameters, peer)
        return RequestedOutput(name=name, class_count=class_count, destination=destination), is_binary


class _Inputs:
    """The inputs of one request, as they are read in order."""

    def __init__(self, decoder: InferDecoder, model: str, request_id: str, peer: str, binary: memoryview) -> None:
        self._decoder = decoder
        self._model = model
        self._request_id = request_id
        self._peer = peer
        self._binary = binary
        self._taken = 0

    def read(self, document: object) -> list[GivenTensor]:
        """Return the inputs. Raises ServeError."""
        with parsing("inputs"):
            elements = as_array(member(document, "inputs"))
        inputs: dict[str, GivenTensor] = {}
        for element in elements:
            tensor = self._input(element)
            if tensor.name in inputs:
                raise invalid(f"{id_prefix(self._request_id)}input '{tensor.name}' already exists in request")
            inputs[tensor.name] = tensor
        if self._taken != len(self._binary):
            raise invalid(f"unexpected additional input data for model '{self._model}'")
        return list(inputs.values())

    def _input(self, element: object) -> GivenTensor:
        parameters = find(element, "parameters")
        _check_one_source(element, parameters)
        with parsing("name"):
            name = as_string(member(element, "name"))
        with parsing("datatype"):
            dtype = parse_dtype(as_string(member(element, "datatype")))
        with parsing("shape"):
            shape = tuple(as_unsigned(dim) for dim in as_array(member(element, "shape")))
        return GivenTensor(name, dtype, shape, self._content(name, dtype, shape, element, parameters))

    def _content(
        self, name: str, dtype: Dtype | None, shape: tuple[int, ...], element: object, parameters: object
    ) -> bytes | memoryview:
        if find(parameters, "binary_data_size") is not None:
            return self._binary_content(name, _find_as(as_unsigned, parameters, "binary_data_size") or 0)
        memory = self._decoder.memory(parameters, self._peer)
        if memory is not None:
            # The client could change the lengths of elements after they were checked.
            return bytes(memory) if dtype is Dtype.BYTES else memory
        if dtype is None:
            raise invalid(f"invalid datatype for input {name}")
        return tensor_bytes(name, dtype, shape, member(element, "data"))

    def _binary_content(self, name: str, size: int) -> memoryview:
        missing = size - (len(self._binary) - self._taken)
        if missing > 0:
            raise invalid(
                f"unexpected size for input '{name}', expecting {missing} additional bytes for model '{self._model}'"
            )
        self._taken += size
        return self._binary[self._taken - size : self._taken]


def _check_one_source(element: object, parameters: object) -> None:
    """Refuse an input whose data comes from nowhere, or from two places. Raises ServeError (INVALID_ARGUMENT)."""
    given = ["'data'"] if find(element, "data") is not None else []
    given += [f"'{key}'" for key in ("binary_data_size", "shared_memory_region") if find(parameters, key) is not None]
    if len(given) != 1:
        found = f"set {' '.join(given)}" if given else "no field is set"
        raise invalid(
            "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
            f"'shared_memory_region' in 'parameters'. But {found}"
        )


def _find_as(read: Callable[[object], _Value], value: object, key: str) -> _Value | None:
    found = find(value, key)
    if found is None:
        return None
    with parsing(key):
        return read(found)


def request_id_of(document: object) -> str:
    """Return the request's id, "" if it has none. Raises ServeError."""
    return _find_as(as_string, document, "id") or ""


def request_parameters(document: object) -> tuple[dict[str, ParameterValue], bool]:
    """Return the request's parameters and its `binary_data_output`. Raises ServeError."""
    given = find(document, "parameters")
    if given is None:
        return {}, False
    if not isinstance(given, dict):
        raise internal("failed to get request params.: attempt to get members for non-object")
    parameters: dict[str, ParameterValue] = {}
    all_binary = False
    for key, value in members(given).items():
        if key == "binary_data_output":
            with parsing(key):
                all_binary = as_boolean(value)
        elif key != "headers":
            parameters[key] = _parameter(key, value)
    return parameters, all_binary


def _parameter(key: str, value: object) -> ParameterValue:
    if key in _BOOLEANS or key in _UNSIGNED or key == "sequence_id":
        with parsing(key):
            if key in _BOOLEANS:
                return as_boolean(value)
            if key in _UNSIGNED or (type(value) is int and value >= 0):
                return as_unsigned(value)
            return as_string(value)
    return custom_parameter(key, value)


def custom_parameter(key: str, value: object) -> ParameterValue:
    """Return a parameter that only the model knows. Raises ServeError (INVALID_ARGUMENT)."""
    if key.startswith("triton_"):
        raise invalid(
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."
        )
    is_wide = type(value) is int and not -_LARGEST_SIGNED - 1 <= value <= _LARGEST_SIGNED
    if is_wide or not isinstance(value, bool | int | float | str):
        raise invalid(f"parameter '{key}' has invalid type. It should be either 'int', 'bool', or 'string'.")
    return value
