"""Models of the native engine, whatever runs their batches."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.batching import BatchingOptions
from npuserve.config.parameters import CHECK_FINITE, is_on
from npuserve.config.scheduling import QueuePolicy
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid, lacks_room
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import Gear, ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.core.timing import request_timing
from npuserve.execution.completions import CompletionRouter
from npuserve.execution.executor import single_result
from npuserve.observability.statistics import BatchStatistics, Duration, Failures, GearStatistics, ModelStatistics

_log = logging.getLogger(__name__)

_LARGEST = 2**63 - 1

SLOTS_PER_INSTANCE = 2
"""One slot executes while the next is being filled and queued behind it."""


class NativeExecutor:
    """One model version: the native queue, batcher and instances behind the Executor interface.

    router: joins the completion queue that the model was given to the loop.
    """

    def __init__(self, name: str, model: _engine.Model, signature: ModelSignature, router: CompletionRouter) -> None:
        self._name = name
        self._model = model
        self._signature = signature
        self._router = router

    def __repr__(self) -> str:
        return f"<NativeExecutor pending={self._model.pending}>"

    @property
    def signature(self) -> ModelSignature:
        """What the model says of itself."""
        return self._signature

    @property
    def sink(self) -> object:
        """A new capsule of the native model; see Executor.sink."""
        return self._model.sink

    def execute(self, request: ExecuteRequest) -> Coroutine[Any, Any, ExecuteResult]:
        """Run one request; see Executor.execute. It is queued at once; what is returned must be awaited."""
        arguments = [(tensor.data, tensor.shape) for tensor in request.inputs]
        destinations = self._destinations(request)
        priority, timeout_us = _whole(request, "priority") or 0, _whole(request, "timeout")
        if priority < 0:
            raise invalid("invalid value for 'priority', expected value >= 0.")

        def submit(token: int) -> None:
            self._model.submit(
                token,
                arguments,
                request.rows,
                destinations,
                priority=priority,
                timeout_us=timeout_us,
                deadline=request.deadline,
            )

        return self._result(self._router.call(submit, self._model.cancel))

    async def _result(self, completing: Coroutine[Any, Any, _engine.Completion]) -> ExecuteResult:
        completion = await completing
        if completion.status:
            if completion.status == StatusCode.INTERNAL and not lacks_room(completion.message):
                _log.error("model '%s' failed: %s", self._name, completion.message)
            raise ServeError(StatusCode(completion.status), completion.message)
        return ExecuteResult(
            outputs=[
                Tensor(spec.name, spec.dtype, output.shape, memoryview(output))
                for spec, output in zip(self._signature.outputs, completion.outputs, strict=True)
            ],
            timing=None if completion.timing is None else request_timing(completion.timing),
        )

    def _destinations(self, request: ExecuteRequest) -> list[memoryview | None] | None:
        if not request.destinations:
            return None
        return [request.destinations.get(spec.name) for spec in self._signature.outputs]

    def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        """Yield the one result; see Executor.stream."""
        return single_result(self, request)

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters."""
        return _statistics(self._model.statistics())

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones, unload. Idempotent."""
        await asyncio.to_thread(self._model.close)


def _whole(request: ExecuteRequest, key: str) -> int | None:
    """Return a parameter that is a whole number, within what the engine counts in; None without one."""
    value = request.parameters.get(key)
    return max(-1, min(value, _LARGEST)) if isinstance(value, int) else None


def native_options(config: ModelConfig, batching: BatchingOptions) -> _engine.ModelOptions:
    """Return the engine's options for a completed config. Raises ServeError: INVALID_ARGUMENT for its parameters."""
    scheduling, buckets = batching.scheduling, batching.buckets
    return _engine.ModelOptions(
        name=config.name,
        max_batch_size=scheduling.max_batch_size,
        dynamic_batching=scheduling.dynamic_batching,
        preferred_batch_sizes=scheduling.preferred_batch_sizes,
        max_queue_delay_us=scheduling.max_queue_delay_us,
        max_queue_size=0,  # the policies' sizes count
        devices=batching.devices,
        slots_per_instance=SLOTS_PER_INSTANCE,
        variable_output_axes=batching.variable_output_axes,
        record_statistics=is_on(config, "statistics", default=True),
        time_stages=is_on(config, "stage_timing", default=True),
        preserve_ordering=scheduling.preserve_ordering,
        levels=scheduling.levels,
        default_level=scheduling.default_level,
        default_policy=_policy(scheduling.default_policy),
        policies={level: _policy(policy) for level, policy in scheduling.policies.items()},
        buckets=buckets.is_on,
        max_overtaken=buckets.max_overtaken,
        mask_input=buckets.mask or None,
        padding=dict(buckets.padding),
        detect_padding=buckets.detects_padding,
        admission_max_wait_us=scheduling.max_predicted_wait_us,
        adaptive_delay_p99_us=scheduling.target_p99_us,
        check_finite=is_on(config, CHECK_FINITE, default=False),
    )


def _policy(policy: QueuePolicy) -> tuple[int, bool, bool, int]:
    return policy.timeout_us, policy.allows_override, policy.delays, policy.max_size


def model_signature(native: _engine.Signature) -> ModelSignature:
    """Return the engine's description of a model as the rest of the server sees it."""
    return ModelSignature(
        inputs=tuple(_spec(spec) for spec in native.inputs),
        outputs=tuple(_spec(spec) for spec in native.outputs),
        gears=tuple(Gear(tuple(gear.input_shapes), tuple(gear.output_shapes)) for gear in native.gears),
    )


def _spec(native: _engine.TensorSpec) -> TensorSpec:
    return TensorSpec(native.name, Dtype(native.dtype), native.shape)


def _statistics(native: _engine.Statistics) -> ModelStatistics:
    return ModelStatistics(
        last_inference_ms=native.last_inference_ms,
        inference_count=native.inference_count,
        execution_count=native.execution_count,
        success=_duration(native.success),
        fail=_duration(native.fail),
        queue=_duration(native.queue),
        compute_input=_duration(native.compute_input),
        compute_infer=_duration(native.compute_infer),
        compute_output=_duration(native.compute_output),
        batches=tuple(
            BatchStatistics(
                batch.batch_size,
                _duration(batch.compute_input),
                _duration(batch.compute_infer),
                _duration(batch.compute_output),
            )
            for batch in native.batches
        ),
        failures=Failures(
            rejected=native.rejected + native.shed,
            cancelled=native.cancelled,
            backend=native.backend_failures,
            other=native.other_failures,
        ),
        pending=native.queued,
        padded_rows=native.padded_rows,
        shed=native.shed,
        gears=tuple(
            GearStatistics(
                gear=gear.label,
                executions=gear.executions,
                useful=gear.useful,
                padding=gear.padding,
                cancelled=gear.cancelled,
                expired=gear.expired,
                empty=gear.empty,
                cost_ns=gear.cost_ns,
            )
            for gear in native.gears
        ),
        lengths=tuple(native.lengths.items()),
        predicted_wait_ns=native.predicted_wait_ns,
        queue_delay_ns=native.queue_delay_ns,
        nonfinite_rows=native.nonfinite_rows,
    )


def _duration(native: _engine.DurationCount) -> Duration:
    return Duration(native.count, native.ns)
