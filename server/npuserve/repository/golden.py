"""The accuracy gate: a version answers the golden samples beside it before it is ready."""

import asyncio
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.golden import GoldenOptions, golden_options, golden_settings
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteResult
from npuserve.core.signature import ModelSignature
from npuserve.core.tensor import Tensor, format_shape
from npuserve.execution.executor import Executor
from npuserve.observability.snapshot import Agreement
from npuserve.repository.golden_file import GOLDEN, GoldenSample, read_golden
from npuserve.repository.golden_request import golden_request

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Compared:
    sample: int
    output: str
    agreement: Agreement


async def check_golden(
    executor: Executor, config: ModelConfig, signature: ModelSignature, version: Path
) -> Agreement | None:
    """Run the golden samples of a version's folder, if it has any, and return how near the worst output came.

    config: completed; its `golden_action` says whether an output that is too far off fails the load.
    Raises ServeError: INVALID_ARGUMENT, with sample, output, value and limit.
    """
    options = golden_options(config)
    path = version / GOLDEN
    if options.action == "off":
        return None
    if not await asyncio.to_thread(path.is_file):
        if given := golden_settings(config):
            _log.warning("model '%s': no effect without a '%s': %s", config.name, path, ", ".join(given))
        return None
    if config.model_transaction_policy.decoupled:
        _log.warning("model '%s': '%s' is not run, as the model is decoupled", config.name, path)
        return None
    try:
        compared = await _compare(executor, config, signature, path)
    except ServeError as error:
        if options.action == "fail":
            raise
        _log.warning("model '%s' is not checked: %s", config.name, error.message)
        return None
    for fault in _faults(compared, options):
        if options.action == "fail":
            raise invalid(f"model '{config.name}' does not agree with '{path}': {fault}")
        _log.warning("model '%s' does not agree with '%s': %s", config.name, path, fault)
    worst = _worst(compared)
    _log.info(
        "model '%s' and its golden samples: cosine %.6f, max abs error %.3g",
        config.name,
        worst.min_cosine,
        worst.max_abs_error,
    )
    return worst


def with_agreement(config: ModelConfig, found: Agreement) -> ModelConfig:
    """Return a config that tells clients, among its parameters, how near the model came."""
    told = ModelConfig()
    told.CopyFrom(config)
    told.parameters["golden_measured_cosine"].string_value = f"{found.min_cosine:.6f}"
    told.parameters["golden_measured_max_abs_error"].string_value = f"{found.max_abs_error:.3g}"
    return told


async def _compare(executor: Executor, config: ModelConfig, signature: ModelSignature, path: Path) -> list[_Compared]:
    """Run the samples, one after another: each goes to the instance that has been idle longest."""
    compared: list[_Compared] = []
    for sample in await asyncio.to_thread(read_golden, path):
        try:
            result = await executor.execute(golden_request(sample, config, signature))
            compared += _compare_outputs(sample, result)
        except ServeError as error:
            raise invalid(f"failed to run sample {sample.number} of '{path}': {error.message}") from error
        except ValueError as error:
            # Of shapes that the model cannot take.
            raise invalid(f"failed to run sample {sample.number} of '{path}': {error}") from error
    return compared


def _numbers(tensor: Tensor) -> npt.NDArray[np.float64]:
    array = np.frombuffer(tensor.data, tensor.dtype.numpy).reshape(tensor.shape)
    if tensor.dtype is Dtype.BF16:
        array = (array.astype("<u4") << 16).view("<f4")
    return array.astype(np.float64)


def _compare_outputs(sample: GoldenSample, result: ExecuteResult) -> Iterator[_Compared]:
    answered = {tensor.name: tensor for tensor in result.outputs}
    for name, expected in sample.outputs.items():
        if name not in answered:
            raise invalid(f"the model did not answer output '{name}'")
        tensor = answered[name]
        if tuple(tensor.shape) != expected.shape:
            raise invalid(
                f"output '{name}' has shape {format_shape(tensor.shape)}, expected {format_shape(expected.shape)}"
            )
        yield _Compared(sample.number, name, agreement(_numbers(tensor), expected.astype(np.float64)))


def agreement(given: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> Agreement:
    """Return how near an output is; NaN in either is NaN in both measures, and two of zeros agree."""
    if not given.size:
        return Agreement(min_cosine=1.0, max_abs_error=0.0)
    with np.errstate(all="ignore"):
        error = float(np.max(np.abs(given - expected)))
        lengths = float(np.linalg.norm(given)) * float(np.linalg.norm(expected))
        cosine = float(np.vdot(given, expected)) / lengths if lengths else float(error == 0)
    return Agreement(min_cosine=min(cosine, 1.0) if math.isfinite(cosine) else math.nan, max_abs_error=error)


def _faults(compared: list[_Compared], options: GoldenOptions) -> Iterator[str]:
    for each in compared:
        where = f"output '{each.output}' of sample {each.sample}"
        cosine, error = each.agreement.min_cosine, each.agreement.max_abs_error
        # NaN is beyond any limit.
        if not cosine >= options.min_cosine:
            yield f"{where} has cosine {cosine:.6f}, golden_min_cosine is {options.min_cosine:g}"
        if options.max_abs_error is not None and not error <= options.max_abs_error:
            yield f"{where} is off by {error:.3g}, golden_max_abs_error is {options.max_abs_error:g}"


def _worst(compared: list[_Compared]) -> Agreement:
    cosines = [each.agreement.min_cosine for each in compared]
    errors = [each.agreement.max_abs_error for each in compared]
    return Agreement(min_cosine=float(np.min(cosines)), max_abs_error=float(np.max(errors)))
