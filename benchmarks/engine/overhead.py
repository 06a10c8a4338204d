"""What the engine itself costs a batch: an identity model on the emulator, driven from Python without a server."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from npuserve import _engine


@dataclass(frozen=True)
class Overhead:
    """Latency from submit to result at one request in flight, and throughput with many."""

    p50_us: float
    p99_us: float
    requests_per_second: float


class EngineLoop:
    """The identity model, loaded once; `measure` drives it."""

    def __init__(self, library: Path, model: Path) -> None:
        self._runtime = _engine.Runtime([[str(library)]])
        self._completions = _engine.CompletionQueue()
        options = _engine.ModelOptions(
            name="identity",
            max_batch_size=8,
            dynamic_batching=True,
            preferred_batch_sizes=[],
            max_queue_delay_us=0,
            max_queue_size=0,
            devices=[0],
            slots_per_instance=2,
            variable_output_axes=[[]],
        )
        self._model = _engine.Model(self._runtime, str(model), options, self._completions)
        self._inputs = [(np.ones((1, 4), np.float32), (1, 4))]

    def measure(self, latency_requests: int, in_flight: int, requests: int) -> Overhead:
        """Return the latency of single requests, and the rate of `requests` with `in_flight` at a time."""
        latencies = []
        for token in range(latency_requests):
            start = time.perf_counter()
            self._model.submit(token, self._inputs, 1)
            self._collect(1)
            latencies.append(time.perf_counter() - start)
        start = time.perf_counter()
        for token in range(in_flight):
            self._model.submit(token, self._inputs, 1)
        done = 0
        submitted = in_flight
        while done < requests:
            count = self._collect(1)
            done += count
            for token in range(submitted, min(submitted + count, requests)):
                self._model.submit(token, self._inputs, 1)
            submitted = min(submitted + count, requests)
        elapsed = time.perf_counter() - start
        p50, p99 = np.percentile(np.array(latencies) * 1e6, [50, 99])
        return Overhead(float(p50), float(p99), requests / elapsed)

    def close(self) -> None:
        """Unload and finalize."""
        self._model.close()
        self._completions.close()
        self._runtime.close()

    def _collect(self, at_least: int) -> int:
        count = 0
        while count < at_least:
            self._completions.wait(10.0)
            for completion in self._completions.drain():
                if completion.status:
                    raise RuntimeError(completion.message)
                count += 1
        return count
