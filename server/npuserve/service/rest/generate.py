"""The generate extension: a flat JSON object in, flat JSON objects out, once or as server-sent events."""

import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from npuserve.core.errors import ExecutionError, ServeError, invalid
from npuserve.core.request import GivenTensor, InferenceRequest, InferenceResponse, ParameterValue
from npuserve.service.inference import InferenceService, ServedModel
from npuserve.service.interface import DeclaredTensor, ModelInterface
from npuserve.service.rest.answers import JSON, error_body
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.infer_request import InferDecoder, custom_parameter, request_id_of, request_parameters
from npuserve.service.rest.json_text import parse_json, to_bytes
from npuserve.service.rest.members import members
from npuserve.service.rest.tensor_json import dump_json, tensor_bytes, tensor_json

_EVENTS = ("Content-Type", "text/event-stream; charset=utf-8")
_NOT_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that generates various number "
    "of responses"
)


class GenerateHandler:
    """Answers `generate` and `generate_stream` of a model.

    max_input_bytes: bound of a body.
    """

    def __init__(self, inference: InferenceService, decoder: InferDecoder, max_input_bytes: int) -> None:
        self._inference = inference
        self._decoder = decoder
        self._max_input_bytes = max_input_bytes

    async def generate(self, http: HttpRequest, model: str, version: str) -> HttpResponse:
        """Return the model's one response; an error of the model itself is 400, as in Triton. Raises ServeError."""
        responses: list[InferenceResponse] = []
        try:
            async with aclosing(self._responses(http, model, version)) as answers:
                async for response in answers:
                    responses.append(response)
        except _ModelError as error:
            if not responses:
                return HttpResponse(status=400, headers=(JSON,), body=error_body(str(error)))
            # An error after a response is a second response.
            responses.clear()
        body = generated(responses[0]) if len(responses) == 1 else error_body(_NOT_ONE)
        return HttpResponse(headers=(JSON,), body=body)

    async def generate_stream(self, http: HttpRequest, model: str, version: str) -> HttpResponse:
        """Return the model's responses as events; if the first is an error the status is 400. Raises ServeError."""
        responses = self._responses(http, model, version)
        try:
            first = await anext(responses, None)
        except _ModelError as error:
            return HttpResponse(status=400, headers=(_EVENTS,), body=_event(error_body(str(error))))
        return HttpResponse(headers=(_EVENTS,), body=_events(first, responses) if first else b"")

    async def _responses(self, http: HttpRequest, model: str, version: str) -> AsyncGenerator[InferenceResponse]:
        """Yield the responses that carry something. Raises ServeError before the model runs, then _ModelError."""
        served = self._inference.find(model, version)
        # Letter for letter, as in Triton.
        if http.headers.get("content-encoding", "identity") != "identity":
            raise invalid("Unsupported content-encoding, only 'identity' is supported.")
        if len(http.body) > self._max_input_bytes:
            raise invalid(
                f"request JSON size of {len(http.body)} bytes exceeds the maximum allowed input size of "
                f"{self._max_input_bytes} bytes. Use --http-max-input-size to increase the limit."
            )
        request = self._request(served, model, version, http)
        try:
            async for response in self._inference.answers(served, request):
                if response.outputs or not (response.is_final and served.is_decoupled):
                    yield response
        except ExecutionError as error:
            raise _ModelError(error) from error

    def _request(self, served: ServedModel, model: str, version: str, http: HttpRequest) -> InferenceRequest:
        """Spread the members of the body over inputs and parameters. Raises ServeError."""
        document = members(parse_json(http.body))
        parameters: dict[str, ParameterValue] = {**self._decoder.forwarded(http)}
        inputs: list[GivenTensor] = []
        for key, value in document.items():
            if key in served.interface.inputs:
                inputs.append(_spread(served.interface, served.interface.inputs[key], value))
            elif key == "parameters":
                parameters.update(request_parameters(document)[0])
            else:
                # The id too, as in Triton, where a model may read it so.
                parameters[key] = custom_parameter(key, value)
        return InferenceRequest(
            model=model,
            version=version,
            id=request_id_of(document),
            parameters=parameters,
            inputs=inputs,
            front_end="http",
            trace_parent=http.headers.get("traceparent", ""),
        )


class _ModelError(Exception):
    """The model answered an error."""

    def __init__(self, error: ServeError) -> None:
        super().__init__(error.message)


def _spread(model: ModelInterface, declared: DeclaredTensor, value: object) -> GivenTensor:
    """Return a scalar or a list in the shape that the model declares; the last variable dim takes what is left.

    Raises ServeError: INVALID_ARGUMENT if it does not fit, else as tensor_bytes.
    """
    elements = value if isinstance(value, list) else [value]
    dims = list(model.full_dims(declared))
    fixed = math.prod(dim for dim in dims if dim != -1)
    rest, remainder = divmod(len(elements), fixed) if fixed else (0, 1)
    if remainder or not rest or (-1 not in dims and rest != 1):
        raise invalid(f"The schema can not convert input '{declared.name}' to tensor with proper shape")
    for place in reversed(range(len(dims))):
        if dims[place] == -1:
            dims[place], rest = rest, 1
    return GivenTensor(
        declared.name, declared.dtype, tuple(dims), tensor_bytes(declared.name, declared.dtype, dims, elements)
    )


def generated(response: InferenceResponse) -> bytes:
    """Return a response as flat JSON: outputs (one element as a scalar), parameters, id, model. Raises ServeError."""
    found = [f"{dump_json(tensor.name)}:{_unwrapped(tensor_json(tensor), tensor.shape)}" for tensor in response.outputs]
    rest: dict[str, ParameterValue] = dict(response.parameters)
    if response.id:
        rest["id"] = response.id
    rest |= {"model_name": response.model, "model_version": response.version}
    found += [f"{dump_json(key)}:{dump_json(value)}" for key, value in rest.items()]
    return to_bytes("{" + ",".join(found) + "}")


def _unwrapped(array: str, shape: tuple[int, ...]) -> str:
    return array[1:-1] if math.prod(shape) == 1 else array


async def _events(first: InferenceResponse, rest: AsyncGenerator[InferenceResponse]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        try:
            yield _event(generated(first))
            async for response in rest:
                yield _event(generated(response))
        except (_ModelError, ServeError) as error:
            yield _event(error_body(str(error)))


def _event(body: bytes) -> bytes:
    return b"data: " + body + b"\n\n"
