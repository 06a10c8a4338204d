"""The client that people use, tritonclient over grpcio, in a closed loop with large tensors."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tritonclient.grpc as triton

from benchmarks.frontend.model import MODEL


def tritonclient_rate(address: str, numbers: int, in_flight: int, seconds: float) -> float:
    """Return requests per second of `in_flight` threads with a client each. Raises if an answer is wrong."""
    with ThreadPoolExecutor(in_flight) as threads:
        return sum(threads.map(lambda seed: _loop(address, numbers, seed, seconds), range(in_flight)))


def _loop(address: str, numbers: int, seed: int, seconds: float) -> float:
    row = np.random.default_rng(seed).random((1, numbers), np.float32)
    sent = triton.InferInput("INPUT0", row.shape, "FP32")
    sent.set_data_from_numpy(row)
    # A connection of its own, where the clients of one address share one; messages of any size, as is its own default.
    options = {"grpc.use_local_subchannel_pool": 1, "grpc.max_receive_message_length": -1}
    with triton.InferenceServerClient(address, channel_args=list(options.items())) as client:
        if not np.array_equal(client.infer(MODEL, [sent]).as_numpy("OUTPUT0"), row):
            raise RuntimeError(f"{address} did not give its input back")
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            client.infer(MODEL, [sent])
            count += 1
        return count / (time.perf_counter() - start)
