"""A loaded model of the engine on the emulator; as a program, a session of requests that checks itself.

`python engine_session.py FOLDER` sends requests to FOLDER/identity_b8.om and prints what failed. The emulator reads its
settings when AscendCL is initialised.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from npuserve import _engine
from support.emulator import LIBRARY

Array = npt.NDArray[Any]

OK, CANCELLED, INVALID_ARGUMENT, INTERNAL, UNAVAILABLE = 0, 1, 3, 13, 14


def options(
    *,
    max_batch_size: int = 8,
    max_queue_delay_us: int = 0,
    max_queue_size: int = 0,
    devices: Sequence[int] = (0,),
    variable_output_axes: Sequence[Sequence[int]] = ((),),
    time_stages: bool = True,
    **scheduling: Any,
) -> _engine.ModelOptions:
    """Return options of which most are defaults; scheduling: those that the engine has defaults for."""
    return _engine.ModelOptions(
        name="model",
        max_batch_size=max_batch_size,
        dynamic_batching=max_batch_size > 0,
        preferred_batch_sizes=[],
        max_queue_delay_us=max_queue_delay_us,
        max_queue_size=max_queue_size,
        devices=list(devices),
        slots_per_instance=2,
        variable_output_axes=[list(axes) for axes in variable_output_axes],
        time_stages=time_stages,
        **scheduling,
    )


class Session:
    """A loaded model with its completion queue."""

    def __init__(self, runtime: _engine.Runtime, path: Path, chosen: _engine.ModelOptions) -> None:
        self.completions = _engine.CompletionQueue()
        self.model = _engine.Model(runtime, str(path), chosen, self.completions)

    def submit(self, token: int, *inputs: Array, rows: int | None = None) -> None:
        self.model.submit(token, [(array, array.shape) for array in inputs], len(inputs[0]) if rows is None else rows)

    def collect(self, count: int) -> dict[int, _engine.Completion]:
        """Return `count` completions by token; fails if one comes twice or too many come."""
        got: dict[int, _engine.Completion] = {}
        while len(got) < count:
            assert self.completions.wait(60), f"{count - len(got)} completions are missing"
            for completion in self.completions.drain():
                assert completion.token not in got
                got[completion.token] = completion
        assert len(got) == count
        return got

    def run(self, *inputs: Array) -> _engine.Completion:
        self.submit(0, *inputs)
        return self.collect(1)[0]

    def close(self) -> None:
        self.model.close()
        self.completions.close()


def values(completion: _engine.Completion, index: int = 0) -> Array:
    output = completion.outputs[index]
    return np.frombuffer(memoryview(output), np.float32).reshape(output.shape)


def numbered(rows: int, start: int = 0) -> Array:
    return np.arange(start, start + rows * 4, dtype=np.float32).reshape(rows, 4)


def serve_once(models: Path, requests: int = 60) -> list[tuple[int, str]]:
    """Load, send, check that each answer comes once and is right or a failure; return the failures."""
    runtime = _engine.Runtime([[str(LIBRARY)]])
    try:
        session = Session(runtime, models / "identity_b8.om", options())
        try:
            for token in range(requests):
                session.submit(token, numbered(1 + token % 8, start=token))
            answers = session.collect(requests)
            failures = [(answer.status, answer.message) for answer in answers.values() if answer.status != OK]
            for token, answer in answers.items():
                if answer.status == OK:
                    np.testing.assert_array_equal(values(answer), numbered(1 + token % 8, start=token))
            statistics = session.model.statistics()
            assert session.model.pending == 0
            assert statistics.fail.count == len(failures)
            assert statistics.success.count == requests - len(failures)
            assert session.completions.drain() == []
            # The instance goes on; the fault may be met only now, but it is one call's.
            last = session.run(numbered(8))
            if last.status != OK:
                failures.append((last.status, last.message))
                assert session.run(numbered(8)).status == OK
        finally:
            session.close()
    finally:
        runtime.close()
    return failures


def sweep(models: Path, call: str) -> None:
    """Fail the nth call, for every n, until a round does not meet the fault."""
    nth, loads, sessions = 1, 0, 0
    while True:
        os.environ["NPUSERVE_EMULATOR_FAULTS"] = f"{call}:{nth}:507011"
        nth += 1
        try:
            failures = serve_once(models, requests=24)
        except _engine.AclError as error:
            assert error.code == 507011, error
            loads += 1
            continue
        if not failures:
            break
        assert all(status == INTERNAL and "507011" in message for status, message in failures)
        sessions += 1
    sys.stdout.write(f"{loads} loads failed, {sessions} sessions had failures\n")


def main(models: Path) -> None:
    if call := os.environ.get("ENGINE_SESSION_SWEEP"):
        sweep(models, call)
        return
    try:
        for status, message in serve_once(models):
            sys.stdout.write(f"status {status}: {message}\n")
    except _engine.DeviceMemoryError as error:
        sys.stdout.write(f"device_memory: {error}\n")
    except _engine.AclError as error:
        sys.stdout.write(f"{error.kind}: {error}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
