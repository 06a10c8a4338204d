"""One request on its way through the steps of an ensemble."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteRequest
from npuserve.core.ready import Ready
from npuserve.core.request import GivenTensor, InferenceRequest, InferenceResponse, RequestedOutput
from npuserve.core.tensor import Tensor
from npuserve.core.timing import RequestTiming
from npuserve.execution.caller import ModelCaller
from npuserve.execution.counters import Stages
from npuserve.execution.ensemble_plan import EnsemblePlan, Stage, Step

Values = Mapping[str, Tensor | None]
"""The ensemble's tensors so far; None for an optional input that the request left out."""

_Pending = tuple[Step, Awaitable[InferenceResponse], int]
"""A step that was called, what it will answer, and when it was called."""


def of_ensemble(name: str, error: ServeError) -> ServeError:
    """Return a step's error as its ensemble tells it."""
    return ServeError(error.status, f"in ensemble '{name}', {error.message}")


def unset_output(ensemble: str) -> ServeError:
    """Return the error for a step whose model answered without an output that is needed."""
    return invalid(
        f"in ensemble '{ensemble}', unexpected deadlock, at least one output is not set while no more ensemble steps "
        "can be made"
    )


class EnsembleRun:
    """Runs the steps of `plan` for one request. Cancelling what awaits it cancels the steps that run."""

    def __init__(self, plan: EnsemblePlan, caller: ModelCaller, request: ExecuteRequest) -> None:
        self.plan = plan
        self._caller = caller
        self._request = request
        self._sums = _Sums()

    @property
    def stages(self) -> Stages:
        """How long the steps have computed so far, in all."""
        return Stages(self._sums.input_ns, self._sums.infer_ns, self._sums.output_ns)

    async def responses(self, given: Values, stage: int = 0) -> AsyncGenerator[Values]:
        """Yield the tensors of each response that reaches the end, in the order of the decoupled step's responses.

        given: the tensors that the stage starts with. Raises ServeError: a step's, naming the ensemble.
        """
        here = self.plan.stages[stage]
        values = await self.through(here, given)
        if here.last is None:
            yield values
            return
        timing: RequestTiming | None = None
        waited_ns = 0
        async with _closing(self._caller.stream(self._call(here.last, values))) as answers:
            called_ns = time.monotonic_ns()
            while (answer := await self._next(answers)) is not None:
                waited_ns += time.monotonic_ns() - called_ns
                # Each response tells the times of the whole execution so far.
                timing = answer.timing or timing
                if answer.outputs:
                    values_now = {**values, **_named(here.last, answer)}
                    async with aclosing(self.responses(values_now, stage + 1)) as following:
                        async for each in following:
                            yield each
                called_ns = time.monotonic_ns()
        self._sums.add(timing, waited_ns)

    def through(self, stage: Stage, given: Values) -> Awaitable[Values]:
        """Run the steps of a stage, each as soon as its tensors are there; give these and what they wrote.

        The first steps run before this returns, as far as they are answered at once. Raises ServeError, at once or when
        it is awaited: the first step's that failed; those that still run are cancelled.
        """
        values = dict(given)
        waiting = list(stage.steps)
        pending = self._advance(values, waiting)
        if pending is None and not waiting:
            return Ready(values)
        return self._rest(values, waiting, pending)

    def _advance(self, values: dict[str, Tensor | None], waiting: list[Step]) -> _Pending | None:
        """Run steps as long as there is one to run and no other, until one takes time; return that one."""
        while waiting:
            ready = [step for step in waiting if step.reads <= values.keys()]
            if not ready:
                raise unset_output(self.plan.name)
            if len(ready) > 1:
                return None
            (step,) = ready
            waiting.remove(step)
            called_ns = time.monotonic_ns()
            try:
                answering = self._caller.infer(self._call(step, values))
            except ServeError as error:
                raise of_ensemble(self.plan.name, error) from error
            if not isinstance(answering, Ready):
                return step, answering, called_ns
            self._take(step, answering.result, called_ns, values)
        return None

    async def _rest(
        self, values: dict[str, Tensor | None], waiting: list[Step], pending: _Pending | None
    ) -> dict[str, Tensor | None]:
        """Run what `_advance` has left."""
        while pending is not None:
            step, answering, called_ns = pending
            try:
                answer = await answering
            except ServeError as error:
                raise of_ensemble(self.plan.name, error) from error
            self._take(step, answer, called_ns, values)
            pending = self._advance(values, waiting)
        if waiting:
            await self._side_by_side(values, waiting)
        return values

    async def _side_by_side(self, values: dict[str, Tensor | None], waiting: list[Step]) -> None:
        """Run steps of which some do not wait for each other, a task each."""
        running: set[asyncio.Task[None]] = set()
        started: list[asyncio.Task[None]] = []
        try:
            while waiting or running:
                ready = [step for step in waiting if step.reads <= values.keys()]
                if not ready and not running:
                    raise unset_output(self.plan.name)
                waiting = [step for step in waiting if step not in ready]
                tasks = [asyncio.create_task(self._answered(step, values)) for step in ready]
                started += tasks
                done, running = await asyncio.wait({*running, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in started:
                task.cancel()
            if started:
                await asyncio.gather(*started, return_exceptions=True)

    async def _answered(self, step: Step, values: dict[str, Tensor | None]) -> None:
        called_ns = time.monotonic_ns()
        try:
            answer = await self._caller.infer(self._call(step, values))
        except ServeError as error:
            raise of_ensemble(self.plan.name, error) from error
        self._take(step, answer, called_ns, values)

    def _take(self, step: Step, answer: InferenceResponse, called_ns: int, values: dict[str, Tensor | None]) -> None:
        """Count a step's answer and put its outputs among the values; what it answers besides is dropped."""
        self._sums.add(answer.timing, time.monotonic_ns() - called_ns)
        for tensor in answer.outputs:
            name = step.outputs.get(tensor.name)
            if name is not None:
                values[name] = tensor

    async def _next(self, answers: AsyncIterator[InferenceResponse]) -> InferenceResponse | None:
        try:
            return await anext(answers, None)
        except ServeError as error:
            raise of_ensemble(self.plan.name, error) from error

    def _call(self, step: Step, values: Values) -> InferenceRequest:
        given = [(name, values.get(tensor)) for name, tensor in step.inputs.items()]
        return InferenceRequest(
            model=step.model,
            version=step.version,
            id=self._request.id,
            parameters=self._request.parameters,
            inputs=[
                GivenTensor(name, tensor.dtype, step.layout.shape_of(name, tensor.shape), tensor.data)
                for name, tensor in given
                if tensor is not None
            ],
            outputs=self._wanted(step),
            deadline=self._request.deadline,
        )

    def _wanted(self, step: Step) -> Sequence[RequestedOutput]:
        """Return the outputs to ask a step for; one that only the client reads is written where the client wants it."""
        places = self._request.destinations
        if not places or self.plan.is_decoupled:
            return step.wanted
        return [
            RequestedOutput(name=name, destination=places.get(tensor) if tensor in self.plan.written_only else None)
            for name, tensor in step.outputs.items()
        ]


def _named(step: Step, answer: InferenceResponse) -> Values:
    """Return a step's outputs by the ensemble's names; what it answers besides is dropped."""
    return {step.outputs[tensor.name]: tensor for tensor in answer.outputs if tensor.name in step.outputs}


@asynccontextmanager
async def _closing(answers: AsyncIterator[InferenceResponse]) -> AsyncIterator[AsyncIterator[InferenceResponse]]:
    """Close the iterator at the end, which cancels its request."""
    try:
        yield answers
    finally:
        if isinstance(answers, AsyncGenerator):
            await answers.aclose()


@dataclass(slots=True)
class _Sums:
    """Compute times of the steps of one request, in nanoseconds."""

    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0

    def add(self, timing: RequestTiming | None, waited_ns: int) -> None:
        """Add a step that took so long; where its model keeps no times, all of it is the model's."""
        if timing is None:
            self.infer_ns += waited_ns
            return
        ready_ns = timing.h2d_end_ns or timing.gathered_ns
        executed_ns = timing.execute_end_ns or timing.d2h_end_ns
        self.input_ns += ready_ns - timing.start_ns
        self.infer_ns += executed_ns - ready_ns
        self.output_ns += timing.scattered_ns - executed_ns
