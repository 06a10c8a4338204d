"""Ensembles: models made of others, whose steps run through the server as any request does.

Tensors pass between steps as the memory views that they are; nothing is copied here.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, aclosing
from pathlib import Path
from types import TracebackType

from npuserve._proto.model_config_pb2 import DataType, ModelConfig
from npuserve.config.contradiction import full_shape
from npuserve.config.ensemble import validate_steps
from npuserve.config.validate import validate_tensors
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.ready import Ready
from npuserve.core.request import ParameterValue
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.caller import ModelCaller
from npuserve.execution.counters import ExecutionCounters
from npuserve.execution.ensemble_plan import EnsemblePlan, plan_ensemble
from npuserve.execution.ensemble_run import EnsembleRun, Values, of_ensemble, unset_output
from npuserve.observability.statistics import ModelStatistics

_DTYPES = {dtype.config_name: dtype for dtype in Dtype}
_SEQUENCE: dict[str, ParameterValue] = {"sequence_id": 0, "sequence_start": False, "sequence_end": False}


class EnsembleBackend:
    """Makes ensembles from their configs alone. The models of their steps must be ready when one is loaded.

    caller: runs the steps.
    """

    def __init__(self, caller: ModelCaller) -> None:
        self._caller = caller

    @property
    def needs_model_file(self) -> bool:
        """False: the config says everything."""
        return False

    async def device_count(self) -> int:
        """Return 0: an ensemble itself runs nothing."""
        return 0

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return the signature that the config asks for. Raises ServeError: INVALID_ARGUMENT."""
        validate_tensors(config)
        return ModelSignature(
            inputs=tuple(
                TensorSpec(tensor.name, _dtype(tensor.data_type), full_shape(config, tensor)) for tensor in config.input
            ),
            outputs=tuple(
                TensorSpec(tensor.name, _dtype(tensor.data_type), full_shape(config, tensor))
                for tensor in config.output
            ),
            gears=(),
        )

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> "EnsembleExecutor":
        """Check the ensemble against its steps' models and say in `config` whether it is decoupled: its steps decide.

        Raises ServeError: INVALID_ARGUMENT, and what a request for a step's model would raise.
        """
        models = [
            self._caller.config(step.model_name, str(step.model_version) if step.model_version > 0 else "")
            for step in config.ensemble_scheduling.step
        ]
        validate_steps(config, models)
        plan = plan_ensemble(config, models)
        config.model_transaction_policy.decoupled = plan.is_decoupled
        return EnsembleExecutor(plan, signature, self._caller)

    async def close(self) -> None:
        """Do nothing: all is the steps'."""


def _dtype(data_type: DataType) -> Dtype:
    return _DTYPES[DataType.Name(data_type)]


class EnsembleExecutor:
    """One ensemble: runs each step as soon as its tensors are there, those that do not wait for each other together.

    There is no queue of its own: each step's model has one.
    """

    def __init__(self, plan: EnsemblePlan, signature: ModelSignature, caller: ModelCaller) -> None:
        self._plan = plan
        self._partial: dict[frozenset[str], EnsemblePlan] = {}
        self._signature = signature
        self._left_out: dict[str, Tensor | None] = dict.fromkeys(spec.name for spec in signature.inputs)
        self._caller = caller
        self._counters = ExecutionCounters()
        self._open = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<EnsembleExecutor {self._plan.name} open={self._open}>"

    @property
    def signature(self) -> ModelSignature:
        """What the config says."""
        return self._signature

    @property
    def sink(self) -> None:
        """None: requests come through `execute`."""
        return

    def execute(self, request: ExecuteRequest) -> Awaitable[ExecuteResult]:
        """Run one request, its first steps at once; see Executor.execute.

        Raises what a step raises, naming the ensemble.
        """
        accepted = self._accept(request)
        try:
            run = accepted.run
            answering = run.through(run.plan.stages[0], self._given(request))
            if isinstance(answering, Ready):
                result = self._result(request, run.plan, answering.result)
        except BaseException as error:
            accepted.end(error)
            raise
        if isinstance(answering, Ready):
            accepted.end(None)
            return Ready(result)
        return self._rest(accepted, answering)

    async def _rest(self, accepted: "_Accepted", answering: Awaitable[Values]) -> ExecuteResult:
        with accepted:
            return self._result(accepted.request, accepted.run.plan, await answering)

    async def stream(self, request: ExecuteRequest) -> AsyncGenerator[ExecuteResult]:
        """Yield a result for each response that reaches the outputs; see Executor.stream."""
        with self._accept(request) as run:
            async with aclosing(run.responses(self._given(request))) as responses:
                async for values in responses:
                    yield self._result(request, run.plan, values)

    def _accept(self, request: ExecuteRequest) -> "_Accepted":
        """Take a request, which must be ended. Raises ServeError if the ensemble, or a step's model, is closed."""
        if self._is_stopping:
            raise ServeError(
                StatusCode.UNAVAILABLE,
                "Server is stopping, scheduler for model has stopped accepting new inference requests",
            )
        plan = self._plan_for(request.outputs)
        arrival_ns = time.monotonic_ns()
        try:
            held = self._caller.hold(plan.models)
            caller = held.__enter__()
        except ServeError as error:
            self._counters.failed("other", time.monotonic_ns() - arrival_ns)
            raise of_ensemble(plan.name, error) from error
        self._open += 1
        self._all_answered.clear()
        return _Accepted(self._ended, request, EnsembleRun(plan, caller, request), held, arrival_ns)

    def _ended(self, accepted: "_Accepted", error: BaseException | None) -> None:
        """Count a request that is over, and what became of it."""
        total_ns, stages = time.monotonic_ns() - accepted.arrival_ns, accepted.run.stages
        if error is None:
            self._counters.executed(accepted.request.rows, stages)
            self._counters.succeeded(accepted.request.rows, total_ns=total_ns, queue_ns=0, stages=stages)
        else:
            self._counters.failed("other" if isinstance(error, ServeError) else "cancelled", total_ns)
        self._open -= 1
        if self._open == 0:
            self._all_answered.set()

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters; compute times are sums over the steps."""
        return self._counters.snapshot(0, predicted_wait_ns=0, queue_delay_ns=0)

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones. Idempotent."""
        self._is_stopping = True
        await self._all_answered.wait()

    def _plan_for(self, outputs: tuple[str, ...]) -> EnsemblePlan:
        """Return what to run for these outputs; there are as many different plans as clients ask for."""
        if not outputs:
            return self._plan
        wanted = frozenset(outputs)
        if len(wanted) == len(self._plan.outputs):
            return self._plan
        if wanted not in self._partial:
            self._partial[wanted] = self._plan.asked_for(wanted)
        return self._partial[wanted]

    def _result(
        self, request: ExecuteRequest, plan: EnsemblePlan, values: Mapping[str, Tensor | None]
    ) -> ExecuteResult:
        for name in plan.outputs:
            if values.get(name) is None:
                raise unset_output(plan.name)
        # In the order in which the steps made them, as Triton.
        outputs = [
            Tensor(name, tensor.dtype, plan.layout.shape_of(name, tensor.shape), tensor.data)
            for name, tensor in values.items()
            if name in plan.outputs and tensor is not None
        ]
        given = request.parameters
        return ExecuteResult(
            outputs=outputs,
            parameters={name: given.get(name, value) for name, value in _SEQUENCE.items()} if given else _SEQUENCE,
        )

    def _given(self, request: ExecuteRequest) -> dict[str, Tensor | None]:
        """Return the inputs by name, those that were left out as None."""
        given = self._left_out.copy()
        for tensor in request.inputs:
            given[tensor.name] = tensor
        return given


class _Accepted:
    """A request for whose time its steps' models stay in service: `end` it, or use it as a context."""

    __slots__ = ("_ended", "_held", "arrival_ns", "request", "run")

    def __init__(
        self,
        ended: Callable[["_Accepted", BaseException | None], None],
        request: ExecuteRequest,
        run: EnsembleRun,
        held: AbstractContextManager[ModelCaller],
        arrival_ns: int,
    ) -> None:
        self._ended = ended
        self._held = held
        self.request = request
        self.run = run
        self.arrival_ns = arrival_ns

    def __enter__(self) -> EnsembleRun:
        return self.run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Give the models back and tell of the end."""
        self._held.__exit__(None, None, None)
        self._ended(self, error)
