"""What goes into a model and what comes out, once a request was found to fit it."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from npuserve.core.errors import ServeError
from npuserve.core.record import record
from npuserve.core.request import ParameterValue
from npuserve.core.tensor import Tensor
from npuserve.core.timing import RequestTiming


@record(kw_only=True)
class ExecuteRequest:
    """A request that fits the model.

    inputs: of the signature, in its order, without the optional ones that were left out, already validated against the
    model's config; every shape starts with `rows` when the model batches.
    parameters: the client's, `priority`, `timeout` and `sequence_*` among them.
    outputs: the names that are asked for; empty for all. An executor may return more.
    destinations: for some outputs, writable memory with room for them. An executor that can writes there and returns
    the output with empty data; one that cannot leaves it and returns the data.
    deadline: the instant of `time.monotonic()` after which nobody waits for the answer; None if there is none.
    """

    inputs: Sequence[Tensor]
    rows: int = 1
    id: str = ""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    destinations: Mapping[str, memoryview] = field(default_factory=dict)
    deadline: float | None = None


@record(kw_only=True)
class ExecuteResult:
    """What a model answers: outputs in the signature's order, cut to the request's own rows and lengths.

    parameters: what the model attaches to its response. timing: None if the executor keeps none.
    is_final: of a decoupled model, whether it knows that no result of the request follows.
    error: what a decoupled model sent in place of outputs; others may follow it. None in all other results.
    """

    outputs: Sequence[Tensor]
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    timing: RequestTiming | None = None
    is_final: bool = False
    error: ServeError | None = None
