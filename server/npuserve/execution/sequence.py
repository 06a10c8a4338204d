"""Requests that belong together, in order, on one instance, with what the server keeps between them.

Both of Triton's strategies hold a sequence in a slot of one instance until its last request, or until it has been idle
too long; a sequence that finds no slot waits. Of the sequences that an instance holds, it batches what is there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from npuserve.config.sequence import Kind, SequenceOptions, StateSpec, control_tensor, initial_state
from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.executor import Executor
from npuserve.observability.statistics import ModelStatistics, merged

_STOPPING = "Server is stopping, scheduler for model has stopped accepting new inference requests"


class _Instance:
    """An executor that runs sequences, and how many more it may hold."""

    def __init__(self, executor: Executor, slots: int) -> None:
        self.executor = executor
        self.free_slots = slots


class _Sequence:
    """A sequence from its first request to its last: where it runs, whose turn it is, what is kept of it."""

    def __init__(self, correlation_id: int | str) -> None:
        self.correlation_id = correlation_id
        self.instance: asyncio.Future[_Instance] = asyncio.get_running_loop().create_future()
        self.turn = asyncio.Lock()
        self.open_requests = 0
        self.given_up = False
        self.state: dict[str, Tensor] = {}
        self.idle_timer: asyncio.TimerHandle | None = None


class SequenceExecutor:
    """An executor of a model with `sequence_batching`.

    signature: as clients see the model. instances: the same model, one instance each; owned.
    initial_files: the contents of the states' files by name. batches: whether the model has a batch dimension.
    """

    def __init__(
        self,
        name: str,
        signature: ModelSignature,
        options: SequenceOptions,
        instances: Sequence[Executor],
        *,
        batches: bool,
        initial_files: Mapping[str, bytes],
    ) -> None:
        self._name = name
        self._signature = signature
        self._options = options
        self._instances = [_Instance(executor, options.slots_per_instance) for executor in instances]
        self._batches = batches
        self._initial_files = initial_files
        self._sequences: dict[int | str, _Sequence] = {}
        self._backlog: deque[_Sequence] = deque()
        self._open_requests = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._closing = False

    def __repr__(self) -> str:
        return f"<SequenceExecutor sequences={len(self._sequences)} waiting={len(self._backlog)}>"

    @property
    def signature(self) -> ModelSignature:
        """What clients see of the model."""
        return self._signature

    @property
    def sink(self) -> None:
        """None: sequences are kept here."""
        return

    @property
    def active_sequences(self) -> int:
        """How many sequences have begun and not ended."""
        return len(self._sequences)

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        """Run one request of a sequence in its turn; see Executor.execute.

        Raises ServeError: INVALID_ARGUMENT without a correlation id, without a START first, or with several rows.
        """
        async with self._turn(request) as (sequence, executor, prepared):
            return self._keep_state(sequence, await executor.execute(prepared))

    async def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        """Run one request in its turn and yield what it is answered; see Executor.stream."""
        async with self._turn(request) as (sequence, executor, prepared):
            results = executor.stream(prepared)
            try:
                async for result in results:
                    yield self._keep_state(sequence, result)
            finally:
                # The turn is the next request's only when this one no longer runs.
                if isinstance(results, AsyncGenerator):
                    await results.aclose()

    def statistics(self) -> ModelStatistics:
        """Return the sum of the instances' counters."""
        return merged([instance.executor.statistics() for instance in self._instances])

    async def close(self) -> None:
        """Refuse new requests, answer the accepted ones, close the instances. Idempotent."""
        self._closing = True
        for sequence in list(self._sequences.values()):
            # No request of it will come, and another's may wait for its slot.
            if sequence.open_requests == 0:
                self._end(sequence)
        await self._none_open.wait()
        await asyncio.gather(*(instance.executor.close() for instance in self._instances))

    @asynccontextmanager
    async def _turn(self, request: ExecuteRequest) -> AsyncIterator[tuple[_Sequence, Executor, ExecuteRequest]]:
        """Wait until the request is the next of its sequence; give its instance and what that is to run."""
        starts, ends = bool(request.parameters.get("sequence_start")), bool(request.parameters.get("sequence_end"))
        sequence = self._sequence_of(request, starts=starts)
        with self._holding(sequence):
            if ends:
                # A START that follows begins another sequence, though this one may still have requests to run.
                self._forget(sequence)
            async with sequence.turn:
                instance = await asyncio.shield(sequence.instance)
                if sequence.given_up:
                    raise ServeError(StatusCode.CANCELLED, "")
                if starts:
                    sequence.state.clear()
                yield sequence, instance.executor, self._prepared(sequence, request, starts=starts, ends=ends)

    def _sequence_of(self, request: ExecuteRequest, *, starts: bool) -> _Sequence:
        if self._closing:
            raise ServeError(StatusCode.UNAVAILABLE, _STOPPING)
        correlation_id = request.parameters.get("sequence_id", 0)
        if isinstance(correlation_id, float) or not correlation_id:
            raise invalid(
                f"inference request to model '{self._name}' must specify a non-zero or non-empty correlation ID"
            )
        if self._batches and request.rows != 1:
            raise invalid(
                f"inference request to model '{self._name}' must specify batch-size 1 due to requirements of sequence "
                "batcher"
            )
        sequence = self._sequences.get(correlation_id)
        if sequence is None:
            if not starts:
                raise invalid(
                    f"inference request for sequence {correlation_id} to model '{self._name}' must specify the START "
                    "flag on the first request of the sequence"
                )
            sequence = self._sequences[correlation_id] = _Sequence(correlation_id)
            self._backlog.append(sequence)
            self._assign_slots()
        return sequence

    @contextmanager
    def _holding(self, sequence: _Sequence) -> Iterator[None]:
        """Count the request as open; when the last one of an ended sequence is gone, its slot is another's."""
        self._count(sequence, 1)
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            # Who gives up one request of a sequence gives up those behind it.
            sequence.given_up = True
            self._forget(sequence)
            raise
        finally:
            self._count(sequence, -1)
            if sequence.open_requests == 0:
                self._settle(sequence)

    def _count(self, sequence: _Sequence, change: int) -> None:
        sequence.open_requests += change
        self._open_requests += change
        if sequence.idle_timer is not None:
            sequence.idle_timer.cancel()
            sequence.idle_timer = None
        if self._open_requests:
            self._none_open.clear()
        else:
            self._none_open.set()

    def _settle(self, sequence: _Sequence) -> None:
        if self._closing or self._sequences.get(sequence.correlation_id) is not sequence:
            self._end(sequence)
        else:
            loop = asyncio.get_running_loop()
            sequence.idle_timer = loop.call_later(self._options.idle_us / 1e6, self._end, sequence)

    def _end(self, sequence: _Sequence) -> None:
        if sequence.idle_timer is not None:
            sequence.idle_timer.cancel()
        self._forget(sequence)
        if sequence.instance.done():
            sequence.instance.result().free_slots += 1
            self._assign_slots()
        else:
            self._backlog.remove(sequence)

    def _forget(self, sequence: _Sequence) -> None:
        """Let no further request be of the sequence; another one may bear its correlation id already."""
        if self._sequences.get(sequence.correlation_id) is sequence:
            del self._sequences[sequence.correlation_id]

    def _assign_slots(self) -> None:
        """Give free slots to the sequences that wait longest, each on the instance that has the most."""
        while self._backlog:
            instance = max(self._instances, key=lambda candidate: candidate.free_slots)
            if instance.free_slots == 0:
                return
            instance.free_slots -= 1
            # Behind the others: of equally free ones the next is another.
            self._instances.remove(instance)
            self._instances.append(instance)
            self._backlog.popleft().instance.set_result(instance)

    def _prepared(self, sequence: _Sequence, request: ExecuteRequest, *, starts: bool, ends: bool) -> ExecuteRequest:
        values: dict[int, bool | int | str] = {
            Kind.CONTROL_SEQUENCE_START: starts,
            Kind.CONTROL_SEQUENCE_END: ends,
            Kind.CONTROL_SEQUENCE_READY: True,
            Kind.CONTROL_SEQUENCE_CORRID: sequence.correlation_id,
        }
        filled = [
            control_tensor(control, values[control.kind], batches=self._batches) for control in self._options.controls
        ]
        filled += [sequence.state.get(state.input_name) or self._initial(state) for state in self._options.states]
        by_name = {tensor.name: tensor for tensor in (*request.inputs, *filled)}
        instance = sequence.instance.result()
        known = [spec.name for spec in instance.executor.signature.inputs if spec.name in by_name]
        rest = [name for name in by_name if name not in known]
        kept = {state.output_name: None for state in self._options.states}
        return replace(
            request,
            inputs=[by_name[name] for name in (*known, *rest)],
            outputs=request.outputs and tuple(dict.fromkeys((*request.outputs, *kept))),
            # What is written elsewhere could not be kept.
            destinations={name: place for name, place in request.destinations.items() if name not in kept},
        )

    def _initial(self, state: StateSpec) -> Tensor:
        content = self._initial_files[state.initial_file] if state.initial_file else None
        return initial_state(state, content, batches=self._batches)

    def _keep_state(self, sequence: _Sequence, result: ExecuteResult) -> ExecuteResult:
        """Take the states out of the outputs, but for those that the config also serves."""
        by_output = {state.output_name: state for state in self._options.states}
        served = {spec.name for spec in self._signature.outputs}
        for tensor in result.outputs:
            if (state := by_output.get(tensor.name)) is not None:
                # A copy: the tensor may be one row of a batch that would all be kept with it.
                sequence.state[state.input_name] = replace(tensor, name=state.input_name, data=bytes(tensor.data))
        return replace(result, outputs=[tensor for tensor in result.outputs if tensor.name in served])
