"""One inference, free of any protocol: what a front end understood, what a model answers."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.record import record
from npuserve.core.tensor import Tensor
from npuserve.core.timing import RequestTiming

ParameterValue = bool | int | float | str
"""A request's or response's parameter, as the protocols carry it."""


@record()
class GivenTensor:
    """An input as the client states it, not yet checked against a model.

    dtype: None if the client's text names no dtype. data: as in Tensor.
    """

    name: str
    dtype: Dtype | None
    shape: tuple[int, ...]
    data: bytes | memoryview


@record(kw_only=True)
class RequestedOutput:
    """An output that the client asked for by name.

    class_count: the so many greatest classes instead of the tensor (classification extension); 0: the tensor.
    destination: writable memory that takes the bytes in place of the response; None: the response does.
    """

    name: str
    class_count: int = 0
    destination: memoryview | None = None


@record(kw_only=True)
class InferenceRequest:
    """A ModelInfer of any origin: gRPC, HTTP, an ensemble's step, a Python model's call.

    version: the version's text, "" for the highest that is ready. outputs: empty for all of the model's.
    deadline: the instant of `time.monotonic()` after which nobody waits for the answer; None if there is none.
    front_end: `grpc` or `http`; "" for requests that arise within the server. trace_parent: the client's W3C
    `traceparent` header, "" if there was none.
    """

    model: str
    version: str = ""
    id: str = ""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    inputs: Sequence[GivenTensor] = ()
    outputs: Sequence[RequestedOutput] = ()
    deadline: float | None = None
    front_end: str = ""
    trace_parent: str = ""


@record(kw_only=True)
class InferenceResponse:
    """One response to an InferenceRequest.

    outputs: in the model's order, those that were asked for. One that went to its `destination` has empty data.
    is_final: whether it is the last one of its request. A decoupled model's last may have no outputs at all.
    error: what a decoupled model sent in place of outputs; None in all other responses.
    timing: of the execution that answered; None if the executor keeps none.
    """

    model: str
    version: str
    id: str = ""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    outputs: Sequence[Tensor] = ()
    is_final: bool = True
    error: ServeError | None = None
    timing: RequestTiming | None = None
