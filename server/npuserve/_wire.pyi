"""The wire: HTTP/2, gRPC and the ModelInfer codec for one event loop. Every method is called on that loop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from npuserve.core.timing import NativeTiming

FinishedInfer = tuple[str, str, str, int, str, int, int, NativeTiming | None, str]
"""Model, version, id, status code, message, started_ns, ended_ns, timing and traceparent of a request: see
`npuserve.observability.requests.FinishedRequest`."""

class Limits:
    """Every bound of the wire, by the names of native/wire/limits.h; durations in nanoseconds, 0 switches one off.

    Raises TypeError for an unknown name, ValueError for a value out of range.
    """

    def __init__(self, **limits: int) -> None: ...
    def as_dict(self) -> dict[str, int]:
        """Return every bound that is in force, defaults included."""

class SharedRegions:
    """The shared memory that requests may refer to: the table of `npuserve.service.regions.RegionTable`.

    Used on the loop only. Memory that requests use stays mapped until the last of them has its answer.
    """

    def __init__(self) -> None: ...
    def add(self, name: str, file: int, offset: int, memory: memoryview) -> bool:
        """Borrow what was mapped of an open file, which need not stay open. False if the system lacks a descriptor."""

    def remove(self, name: str) -> None:
        """Forget a region, which need not be there."""

class DeclaredTensor:
    """An input or output of a model's interface; see npuserve.service.interface.

    model_dtype: what the compiled model takes or gives; of INT32 and INT64 it may be the other one.
    position: for an input, where it stands in the signature; for an output, ignored.
    """

    def __init__(
        self,
        *,
        name: str,
        dtype: str,
        dims: Sequence[int],
        model_dims: Sequence[int],
        model_dtype: str | None = None,
        position: int = 0,
    ) -> None: ...

class Route:
    """A model version that ModelInfer reaches without Python.

    asked_version: the version text of requests that mean it ("" for those that name none). inputs: in the config's
    order. outputs: in the signature's order. sink: the capsule of `_engine.Model.sink`.
    converts_integers: whether requests may give INT64 for INT32 and the other way round.
    Raises ValueError for an unknown dtype, dtypes that are not converted to each other, or a capsule of another kind.
    """

    def __init__(
        self,
        *,
        name: str,
        asked_version: str,
        version: str,
        max_batch_size: int,
        inputs: Sequence[DeclaredTensor],
        outputs: Sequence[DeclaredTensor],
        sink: object,
        converts_integers: bool = False,
    ) -> None: ...

class Endpoint:
    """All connections of one event loop.

    limits: shared by all of them. infer_path: the path whose calls take the routes. response_compression_level: 0, or
    1 to 9 for answers of that path to clients that accept compression.
    dispatch: called with every call that the routes do not answer, when it starts, or, for one that a route handed on,
    when its one message is there. on_failure: called with the model and the reason for every request that was accepted
    and failed (INTERNAL). Neither must raise.
    """

    def __init__(
        self,
        limits: Limits,
        dispatch: Callable[[ServerCall], None],
        *,
        on_failure: Callable[[str, str], None],
        infer_path: str,
        response_compression_level: int = 0,
    ) -> None: ...
    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch for completions on the loop."""

    def protocol(self) -> asyncio.BufferedProtocol:
        """Return the protocol of a new connection: the factory of create_server."""

    def set_routes(self, routes: Sequence[Route]) -> None:
        """Replace all routes. Requests that were submitted go on."""

    def share_regions(self, regions: SharedRegions, may_share: Callable[[str], bool]) -> None:
        """Let requests on the routes refer to shared memory.

        may_share: asked with the peer of every new connection whether its requests may; those of others are handed on.
        """

    def observe(self, *, wants_all: bool, slow_ns: int, on_finished: Callable[[Sequence[FinishedInfer]], None]) -> None:
        """Tell of requests that routes answer from now on: of all, or of those that take longer than slow_ns (0: none).

        on_finished: called on the loop with what finished together; it must not raise.
        """

    def mirror(self, ring: int, *, share: float, most_bytes: int) -> None:
        """Copy this share of the calls of infer_path, with their answers, into a ring (native/core/mirror_ring.h).

        ring: the file that both processes map; it need not stay open. most_bytes: of a request with its answer; larger
        ones are left out. Raises OSError if the file cannot be mapped, ValueError if it is too small.
        """

    def set_mirrored(self, models: Mapping[str, Literal["mirrored", "sequence", "decoupled"]]) -> None:
        """Say which models are mirrored, and of the others what keeps them from it; those not named are let alone.

        Raises ValueError unless `mirror` was called before.
        """

    def refuse_new_calls(self, code: int, message: str) -> None:
        """From now on answer every new call so, and ask the clients to open no more (GOAWAY)."""

    def shut_down(self) -> None:
        """Close every connection once what was answered is sent."""

    def abort(self) -> None:
        """Drop every connection at once; open calls are cancelled."""

    def close(self) -> None:
        """Stop watching. Every model that the routes named must be closed before. Idempotent."""

    async def wait_until_no_calls(self) -> None:
        """Return when no call is open and every answer has been handed to its transport."""

    async def wait_until_no_connections(self) -> None:
        """Return when every connection is closed."""

    @property
    def open_calls(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def used_memory_bytes(self) -> int:
        """Return what messages hold of the memory budget."""

    def __repr__(self) -> str: ...

class ServerCall:
    """One call that Python answers.

    `listener` is called without arguments whenever a message came, the client has sent its last (`half_closed`), the
    call is over (`ended`: cancelled, expired or disconnected), or what was sent has left (`unsent_bytes` fell).
    """

    listener: Callable[[], None] | None
    @property
    def path(self) -> str: ...
    @property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]: ...
    @property
    def deadline(self) -> float | None:
        """The absolute instant of time.monotonic(), in seconds, after which the client waits no more."""

    @property
    def peer(self) -> str:
        """Return the client's address as gRPC writes it: `ipv4:127.0.0.1:50000`, `ipv6:[::1]:50000`, `unix:`."""

    @property
    def half_closed(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def unsent_bytes(self) -> int: ...
    def take_message(self) -> bytes | None:
        """Return the oldest message that came and was not taken, None if there is none."""

    def send(self, message: bytes, *, more: bool = False) -> None:
        """Queue a message. Nothing happens if the call is over.

        more: another message or the status follows at once, so that one write takes both.
        """

    def finish(self, code: int, message: str, trailing: Sequence[tuple[str, str | bytes]] = ()) -> None:
        """Give the status, behind all messages. Nothing happens if the call is over."""

class HttpLimits:
    """Every bound of HTTP, by the names of native/wire/http_limits.h; durations in nanoseconds, 0 switches one off.

    Raises TypeError for an unknown name, ValueError for a value out of range.
    """

    def __init__(self, **limits: int) -> None: ...
    def as_dict(self) -> dict[str, int]:
        """Return every bound that is in force, defaults included."""

class HttpEndpoint:
    """All HTTP connections of one event loop.

    limits: shared by all of them. dispatch: called with every whole request that the routes do not answer. on_failure:
    called with the model and the reason for every request that was accepted and failed (INTERNAL). Neither must raise.
    """

    def __init__(
        self, limits: HttpLimits, dispatch: Callable[[HttpCall], None], *, on_failure: Callable[[str, str], None]
    ) -> None: ...
    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch for completions on the loop."""

    def protocol(self) -> asyncio.BufferedProtocol:
        """Return the protocol of a new connection: the factory of create_server."""

    def set_routes(self, routes: Sequence[Route]) -> None:
        """Replace all routes. Requests that were submitted go on."""

    def observe(self, *, wants_all: bool, slow_ns: int, on_finished: Callable[[Sequence[FinishedInfer]], None]) -> None:
        """As Endpoint.observe."""

    def refuse_new_requests(self, status: int, message: str) -> None:
        """From now on answer every new request so and close its connection; idle connections are closed at once."""

    def shut_down(self) -> None:
        """Close every connection once its request is answered."""

    def abort(self) -> None:
        """Drop every connection at once; open requests are cancelled."""

    def close(self) -> None:
        """Stop watching. Every model that the routes named must be closed before. Idempotent."""

    async def wait_until_no_requests(self) -> None:
        """Return when no request is open and every answer has been handed to its transport."""

    async def wait_until_no_connections(self) -> None:
        """Return when every connection is closed."""

    @property
    def open_requests(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def used_memory_bytes(self) -> int:
        """Return what bodies hold of the memory budget."""

    def __repr__(self) -> str: ...

class HttpCall:
    """One whole request that Python answers, with respond() or with a stream.

    `listener` is called without arguments when the client is gone (`ended`), or what was sent has left (`unsent_bytes`
    fell). Nothing that is given to a call that is over or answered has an effect. Fields are names and values in
    Latin-1; ValueError is raised for one that is malformed, or that is the front end's to give (Content-Length,
    Transfer-Encoding, Connection).
    """

    listener: Callable[[], None] | None
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str:
        """As it came, without the query."""

    @property
    def headers(self) -> dict[str, str]:
        """By names in lower case, equal ones joined by ", "."""

    @property
    def body(self) -> bytes: ...
    @property
    def peer(self) -> str:
        """Return the client's address as gRPC writes it."""

    @property
    def ended(self) -> bool: ...
    @property
    def unsent_bytes(self) -> int: ...
    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Give the whole answer."""

    def start_stream(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Give an answer's head; its body follows in pieces."""

    def send(self, piece: bytes) -> None:
        """Queue a piece of the body."""

    def end_stream(self) -> None:
        """Say that the body is whole."""

    def abort(self) -> None:
        """Drop the connection of a request that has no whole answer."""
