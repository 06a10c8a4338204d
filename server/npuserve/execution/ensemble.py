"""Ensembles: models made of others, whose steps run through the server as any request does.

Tensors pass between steps as the memory views that they are; nothing is copied here.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path

from npuserve._proto.model_config_pb2 import DataType, ModelConfig
from npuserve.config.contradiction import full_shape
from npuserve.config.ensemble import validate_steps
from npuserve.config.validate import validate_tensors
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.request import ParameterValue
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.caller import ModelCaller
from npuserve.execution.counters import ExecutionCounters, Stages
from npuserve.execution.ensemble_plan import EnsemblePlan, plan_ensemble
from npuserve.execution.ensemble_run import EnsembleRun, of_ensemble, unset_output
from npuserve.observability.statistics import ModelStatistics

_DTYPES = {dtype.config_name: dtype for dtype in Dtype}
_SEQUENCE: Mapping[str, ParameterValue] = {"sequence_id": 0, "sequence_start": False, "sequence_end": False}


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

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        """Run one request. Raises what a step raises, naming the ensemble; see Executor.execute."""
        with self._accepted(request) as run:
            return self._result(request, run.plan, await run.through(run.plan.stages[0], self._given(request)))

    async def stream(self, request: ExecuteRequest) -> AsyncGenerator[ExecuteResult]:
        """Yield a result for each response that reaches the outputs; see Executor.stream."""
        with self._accepted(request) as run:
            async with aclosing(run.responses(self._given(request))) as responses:
                async for values in responses:
                    yield self._result(request, run.plan, values)

    @contextmanager
    def _accepted(self, request: ExecuteRequest) -> Iterator[EnsembleRun]:
        """Count the request that runs within, and what became of it. Raises ServeError if the ensemble is closed."""
        if self._is_stopping:
            raise ServeError(
                StatusCode.UNAVAILABLE,
                "Server is stopping, scheduler for model has stopped accepting new inference requests",
            )
        plan = self._plan_for(request.outputs)
        run: EnsembleRun | None = None
        arrival_ns = time.monotonic_ns()
        failure = "cancelled"
        self._open += 1
        self._all_answered.clear()
        try:
            with ExitStack() as held:
                run = EnsembleRun(plan, self._hold(plan, held), request)
                yield run
            failure = ""
        except ServeError:
            failure = "other"
            raise
        finally:
            self._count(request.rows, failure, time.monotonic_ns() - arrival_ns, run.stages if run else Stages(0, 0, 0))
            self._open -= 1
            if self._open == 0:
                self._all_answered.set()

    def _hold(self, plan: EnsemblePlan, held: ExitStack) -> ModelCaller:
        """Return a caller for which the steps' models stay in service until `held` ends. Raises ServeError."""
        try:
            return held.enter_context(self._caller.hold(plan.models))
        except ServeError as error:
            raise of_ensemble(plan.name, error) from error

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters; compute times are sums over the steps."""
        return self._counters.snapshot(0)

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones. Idempotent."""
        self._is_stopping = True
        await self._all_answered.wait()

    def _plan_for(self, outputs: tuple[str, ...]) -> EnsemblePlan:
        """Return what to run for these outputs; there are as many different plans as clients ask for."""
        wanted = frozenset(outputs or self._plan.outputs)
        if len(wanted) == len(self._plan.outputs):
            return self._plan
        if wanted not in self._partial:
            self._partial[wanted] = self._plan.asked_for(wanted)
        return self._partial[wanted]

    def _result(
        self, request: ExecuteRequest, plan: EnsemblePlan, values: Mapping[str, Tensor | None]
    ) -> ExecuteResult:
        if any(values.get(name) is None for name in plan.outputs):
            raise unset_output(plan.name)
        # In the order in which the steps made them, as Triton.
        outputs = [
            Tensor(name, tensor.dtype, plan.layout.shape_of(name, tensor.shape), tensor.data)
            for name, tensor in values.items()
            if name in plan.outputs and tensor is not None
        ]
        given = request.parameters
        return ExecuteResult(
            outputs=outputs, parameters={name: given.get(name, value) for name, value in _SEQUENCE.items()}
        )

    def _given(self, request: ExecuteRequest) -> dict[str, Tensor | None]:
        """Return the inputs by name, those that were left out as None."""
        given: dict[str, Tensor | None] = dict.fromkeys(spec.name for spec in self._signature.inputs)
        return given | {tensor.name: tensor for tensor in request.inputs}

    def _count(self, rows: int, failure: str, total_ns: int, stages: Stages) -> None:
        """Count a request; failure: its reason as in Failures, "" if there was none."""
        if failure:
            self._counters.failed(failure, total_ns)
        else:
            self._counters.executed(rows, stages)
            self._counters.succeeded(rows, total_ns=total_ns, queue_ns=0, stages=stages)
