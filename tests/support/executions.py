"""Runs requests through an executor the short way."""

from collections.abc import Sequence

from npuserve.core.execution import ExecuteRequest
from npuserve.core.tensor import Tensor
from npuserve.execution.executor import Executor


async def execute(executor: Executor, inputs: Sequence[Tensor], rows: int) -> list[Tensor]:
    """Return the outputs of one request."""
    return list((await executor.execute(ExecuteRequest(inputs=inputs, rows=rows))).outputs)
