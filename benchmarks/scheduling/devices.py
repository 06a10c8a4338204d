"""How much more N devices do than one: executions that sleep, one instance a device, through the queue and the batcher.

`python -m benchmarks.scheduling.devices` prints `figure device_scaling_N`; what a device would compute is left out, so
what is measured is whether the scheduler keeps all of them at work.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from npuserve import _engine

from benchmarks.report import Report

DEVICES = (1, 2, 4, 8)
EXECUTION_US = 5_000
ROWS = 8
"""Of a request, which is a batch of its own."""
REQUESTS_A_DEVICE = 4
ROUND_SECONDS = 1.0
ROUNDS = 5
WARM_UP_SECONDS = 0.2


def main() -> None:
    """Measure and print."""
    report = Report("scheduling_devices")
    measure(report)
    for figure in report.figures:
        print(f"figure {figure.name} {figure.median:.3g} {figure.unit}")


def measure(report: Report) -> None:
    """Add the figures, of the most devices first."""
    for count, samples in sorted(scaling().items(), reverse=True):
        report.add(f"device_scaling_{count}", "x", samples)


def scaling(rounds: int = ROUNDS, seconds: float = ROUND_SECONDS) -> dict[int, list[float]]:
    """Return, by how many devices there are, how much more they did than one: a sample a round.

    The rounds are interleaved: each has all counts of devices, one after the other.
    """
    rates: dict[int, list[float]] = {count: [] for count in DEVICES}
    for _ in range(rounds):
        for count in DEVICES:
            rates[count].append(executions_a_second(count, seconds))
    one = statistics.median(rates[1])
    return {count: [rate / one for rate in rates[count]] for count in DEVICES if count > 1}


def executions_a_second(devices: int, seconds: float) -> float:
    """Return how many batches the devices run, with always more requests than they can."""
    with _model(devices) as (model, completions):
        rows = np.zeros((ROWS, 1), np.float32)

        def submit(count: int) -> None:
            for _ in range(count):
                model.submit(0, [(rows, rows.shape)], ROWS)

        def serve(until: float) -> int:
            ended = 0
            while time.perf_counter() < until:
                completions.wait(1)
                done = len(completions.drain())
                submit(done)
                ended += done
            return ended

        submit(devices * REQUESTS_A_DEVICE)
        serve(time.perf_counter() + WARM_UP_SECONDS)
        begin = time.perf_counter()
        ended = serve(begin + seconds)
        return ended / (time.perf_counter() - begin)


@contextmanager
def _model(devices: int) -> Iterator[tuple[_engine.Model, _engine.CompletionQueue]]:
    signature = _engine.identity_signature([("x", "y", "FP32", (1,))], ROWS)
    options = _engine.ModelOptions(
        name="sleeper",
        max_batch_size=ROWS,
        dynamic_batching=True,
        preferred_batch_sizes=[],
        max_queue_delay_us=0,
        max_queue_size=0,
        devices=list(range(devices)),
        slots_per_instance=2,
        variable_output_axes=[[]],
    )
    completions = _engine.CompletionQueue()
    model = _engine.Model.identity(signature, options, EXECUTION_US, completions)
    try:
        yield model, completions
    finally:
        model.close()
        completions.close()


if __name__ == "__main__":
    main()
