"""Inference over HTTP: JSON or binary tensor data in and out, compressed or not."""

import asyncio

from npuserve.core.errors import ServeError, invalid
from npuserve.core.request import InferenceRequest, InferenceResponse
from npuserve.core.status import StatusCode
from npuserve.service.inference import InferenceService, ServedModel
from npuserve.service.rest.answers import JSON, refusal
from npuserve.service.rest.compression import ENCODINGS, compress, decompress, preferred_encoding
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.infer_request import DecodedInfer, InferDecoder
from npuserve.service.rest.infer_response import infer_body
from npuserve.service.rest.json_text import parse_json
from npuserve.service.rest.raw_request import raw_input

JSON_SIZE = "Inference-Header-Content-Length"
_OCTETS = ("Content-Type", "application/octet-stream")
# Reading or writing much JSON is done beside the event loop, which the other requests need.
_LARGE_BYTES = 256 * 1024


class InferHandler:
    """Answers `POST /v2/models/M[/versions/V]/infer`.

    max_input_bytes: bound of a body's JSON part, of a raw body, and of what a compressed body unpacks to.
    """

    def __init__(self, inference: InferenceService, decoder: InferDecoder, max_input_bytes: int) -> None:
        self._inference = inference
        self._decoder = decoder
        self._max_input_bytes = max_input_bytes

    async def infer(self, http: HttpRequest, model: str, version: str) -> HttpResponse:
        """Return the model's response. Raises ServeError."""
        served = self._inference.find(model, version)
        if served.is_decoupled:
            raise ServeError(
                StatusCode.UNIMPLEMENTED, "HTTP end point doesn't support models with decoupled transaction policy"
            )
        # What reads the body may wait, and the model may be replaced meanwhile.
        with served.loaded.leases.hold():
            try:
                body = await decompress(http.body, http.headers.get("content-encoding", ""), self._max_input_bytes)
            except ServeError as error:
                if error.status is StatusCode.UNIMPLEMENTED:
                    return refusal(501, error.message, ("Accept-Encoding", ", ".join(ENCODINGS)))
                raise
            asked = await self._decoded(served, model, version, http, body)
            response = await self._inference.answer(served, asked.request)
        return await _response(http, asked, response)

    async def _decoded(
        self, served: ServedModel, model: str, version: str, http: HttpRequest, body: bytes
    ) -> DecodedInfer:
        json_bytes = _json_bytes(http, len(body))
        if json_bytes == 0:
            self._check_size(len(body))
            request = InferenceRequest(
                model=model,
                version=version,
                parameters=self._decoder.forwarded(http),
                inputs=[raw_input(served.interface, memoryview(body))],
                front_end="http",
                trace_parent=http.headers.get("traceparent", ""),
            )
            return DecodedInfer(request, all_binary=True)
        self._check_size(json_bytes)
        view = memoryview(body)

        def decoded() -> DecodedInfer:
            return self._decoder.decode(model, version, http, parse_json(view[:json_bytes]), view[json_bytes:])

        # Shared memory is the loop's own; a request that names some has little JSON besides.
        if json_bytes > _LARGE_BYTES and body.find(b"shared_memory_region", 0, json_bytes) < 0:
            return await asyncio.to_thread(decoded)
        return decoded()

    def _check_size(self, size: int) -> None:
        if size > self._max_input_bytes:
            raise invalid(
                f"request JSON size of {size} bytes exceeds the maximum allowed input size of {self._max_input_bytes} "
                "bytes. Use --http-max-input-size to increase the limit."
            )


async def _response(http: HttpRequest, asked: DecodedInfer, response: InferenceResponse) -> HttpResponse:
    """Return the response in the form that was asked for. Raises ServeError."""
    content_bytes = sum(len(tensor.data) for tensor in response.outputs)
    if content_bytes > _LARGE_BYTES and not all(asked.wants_binary(tensor.name) for tensor in response.outputs):
        content, json_bytes = await asyncio.to_thread(infer_body, asked, response)
    else:
        content, json_bytes = infer_body(asked, response)
    headers = [_OCTETS, (JSON_SIZE, str(json_bytes))] if json_bytes != len(content) else [JSON]
    if encoding := preferred_encoding(http.headers.get("accept-encoding", "")):
        content = await compress(content, encoding)
        headers.append(("Content-Encoding", encoding))
    return HttpResponse(headers=tuple(headers), body=content)


def _json_bytes(http: HttpRequest, body_bytes: int) -> int:
    """Return how much of the body is JSON; 0 if it is a raw request. Raises ServeError (INVALID_ARGUMENT)."""
    text = http.headers.get(JSON_SIZE.lower())
    if text is None:
        return body_bytes
    try:
        size = int(text)
    except ValueError as error:
        raise invalid(f"Unable to parse {JSON_SIZE}, got: {text}") from error
    if not 0 <= size <= body_bytes:
        raise invalid(f"inference header size should be in range (0, {body_bytes}), got: {size}")
    return size
