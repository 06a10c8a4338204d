"""What the native front ends share: routes that answer without Python, the telling of it, how connections end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from npuserve._wire import DeclaredTensor, Route
from npuserve.core.dtype import Dtype
from npuserve.core.errors import lacks_room
from npuserve.core.status import StatusCode
from npuserve.core.timing import request_timing
from npuserve.observability.requests import FinishedRequest, RequestObserver
from npuserve.service import interface
from npuserve.service.routes import InferRoute

if TYPE_CHECKING:
    from npuserve._wire import Endpoint, FinishedInfer, HttpEndpoint

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""How long connections may take to close once everything is answered."""


class Routes(Protocol):
    """Which inferences need no Python."""

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call the watcher after every change; it must not raise."""
        ...

    def current(self) -> Sequence[InferRoute]:
        """Return the routes that hold now."""
        ...


def native_routes(routes: Routes) -> list[Route]:
    """Return the routes that hold now, one for each version text that means them."""
    return [_native_route(route, asked) for route in routes.current() for asked in route.asked_versions]


def _native_route(route: InferRoute, asked_version: str) -> Route:
    inputs = zip(route.interface.inputs.values(), route.input_dtypes, route.input_positions, strict=True)
    outputs = zip(route.outputs, route.output_dtypes, strict=True)
    return Route(
        name=route.interface.name,
        asked_version=asked_version,
        version=route.version,
        max_batch_size=route.interface.max_batch_size,
        inputs=[_native_tensor(tensor, dtype, position) for tensor, dtype, position in inputs],
        outputs=[_native_tensor(tensor, dtype) for tensor, dtype in outputs],
        sink=route.sink,
        converts_integers=route.interface.converts_integers,
    )


def _native_tensor(tensor: interface.DeclaredTensor, model_dtype: Dtype, position: int = 0) -> DeclaredTensor:
    return DeclaredTensor(
        name=tensor.name,
        dtype=tensor.dtype.value,
        dims=tensor.dims,
        model_dims=tensor.model_dims,
        model_dtype=model_dtype.value,
        position=position,
    )


def finished_request(finished: "FinishedInfer", front_end: str) -> FinishedRequest:
    """Return what a native endpoint tells of a request as observers take it."""
    model, version, request_id, code, message, started_ns, ended_ns, timing, trace_parent = finished
    return FinishedRequest(
        model=model,
        version=version,
        id=request_id,
        front_end=front_end,
        status=StatusCode(code),
        message=message,
        started_ns=started_ns,
        ended_ns=ended_ns,
        timing=None if timing is None else request_timing(timing),
        trace_parent=trace_parent,
    )


def log_failure(model: str, reason: str) -> None:
    """Log a request that a model accepted and failed to answer, unless the client is to blame."""
    if not lacks_room(reason):
        _log.error("model '%s' failed: %s", model, reason)


def observe(endpoint: "Endpoint | HttpEndpoint", observer: RequestObserver | None, front_end: str) -> None:
    """Tell the observer of what the endpoint answers by its routes, as far as it wants to know now."""
    if observer is None:
        return

    def tell(finished: "Sequence[FinishedInfer]") -> None:
        for request in finished:
            observer.observe(finished_request(request, front_end))

    endpoint.observe(wants_all=observer.wants_all, slow_ns=observer.slow_ns, on_finished=tell)


async def close_connections(endpoint: "Endpoint | HttpEndpoint", unanswered: int) -> None:
    """Let the connections finish, for a moment if all is answered; then cut those that are left."""
    endpoint.shut_down()
    try:
        async with asyncio.timeout(CLOSE_SECONDS if unanswered == 0 else 0):
            await endpoint.wait_until_no_connections()
    except TimeoutError:
        endpoint.abort()
        await endpoint.wait_until_no_connections()
