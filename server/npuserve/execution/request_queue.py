"""The requests that wait for an instance: in order of priority, each level in order of arrival.

A level keeps two lists: requests that are in time, and behind them those that timed out where the policy is to delay
them. A delayed request never times out again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from npuserve.config.scheduling import SchedulingOptions
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.execution.open_request import OpenRequest


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A queued request. expires_ns: None if it never times out."""

    open: OpenRequest
    level: int
    row_shape: tuple[int, ...]
    expires_ns: int | None

    @property
    def rows(self) -> int:
        """Rows that it brings to a batch."""
        return self.open.request.rows


@dataclass(slots=True)
class _Level:
    # Dicts as ordered sets: a request in the middle leaves in one step.
    in_time: dict[Waiting, None] = field(default_factory=dict)
    delayed: dict[Waiting, None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Waiting]:
        return chain(self.in_time, self.delayed)


class RequestQueue:
    """The queue of one model."""

    def __init__(self, name: str, options: SchedulingOptions) -> None:
        self._name = name
        self._options = options
        self._levels = {level: _Level() for level in range(1, max(1, options.levels) + 1)}
        self._earliest_ns: int | None = None  # a lower bound, as requests leave before their time

    def __len__(self) -> int:
        return sum(len(level.in_time) + len(level.delayed) for level in self._levels.values())

    def push(self, request: OpenRequest) -> Waiting:
        """Queue a request. Raises ServeError: UNAVAILABLE if its level's queue is full."""
        parameters = request.request.parameters
        priority, wanted_us = self._options.check_parameters(self._name, parameters)
        number = priority or self._options.default_level
        policy, level = self._options.policy_of(number), self._levels[number]
        if policy.max_size and len(level.in_time) + len(level.delayed) >= policy.max_size:
            raise ServeError(StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        timeout_us = wanted_us if 0 < wanted_us < policy.timeout_us else policy.timeout_us
        waiting = Waiting(
            request,
            number,
            self._row_shape(request),
            request.arrival_ns + timeout_us * 1000 if timeout_us else None,
        )
        level.in_time[waiting] = None
        self._note_expiry(waiting)
        return waiting

    def leading(self, count: int) -> list[Waiting]:
        """Return the first requests in the order in which they run, at most `count`."""
        return list(islice(chain.from_iterable(self._levels.values()), count))

    def remove(self, waiting: Waiting) -> bool:
        """Take a request out; say whether it was still there."""
        level = self._levels[waiting.level]
        for requests in (level.in_time, level.delayed):
            if waiting in requests:
                del requests[waiting]
                return True
        return False

    def expire(self, now_ns: int) -> list[Waiting]:
        """Take out and return the requests that timed out, or move them behind the others where the policy says so."""
        if self._earliest_ns is None or now_ns < self._earliest_ns:
            return []
        refused: list[Waiting] = []
        self._earliest_ns = None
        for number, level in self._levels.items():
            delays = self._options.policy_of(number).delays
            for waiting in list(level.in_time):
                if waiting.expires_ns is None or waiting.expires_ns > now_ns:
                    self._note_expiry(waiting)
                    continue
                del level.in_time[waiting]
                if delays:
                    level.delayed[waiting] = None
                else:
                    refused.append(waiting)
        return refused

    @property
    def next_expiry_ns(self) -> int | None:
        """When to call `expire` again: no request times out before; None if none does."""
        return self._earliest_ns if self._levels_hold_any() else None

    def _levels_hold_any(self) -> bool:
        return any(level.in_time for level in self._levels.values())

    def _note_expiry(self, waiting: Waiting) -> None:
        if waiting.expires_ns is not None:
            earliest_ns = waiting.expires_ns if self._earliest_ns is None else self._earliest_ns
            self._earliest_ns = min(earliest_ns, waiting.expires_ns)

    def _row_shape(self, open_request: OpenRequest) -> tuple[int, ...]:
        """Return what must be equal among the requests of a batch: variable sizes, and which inputs are there."""
        options = self._options
        if not options.dynamic_batching:
            return ()
        given = open_request.request.inputs
        shape: list[int] = []
        if options.optional_inputs:
            names = {tensor.name for tensor in given}
            shape += [name in names for name in options.optional_inputs]
        for tensor in given:
            if tensor.name in options.variable_inputs:
                shape += tensor.shape[1:]
        return tuple(shape)
