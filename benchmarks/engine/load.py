"""A closed loop of clients over gRPC: each sends its next request when its answer is there."""

import asyncio
import time
from dataclasses import dataclass

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class LoadResult:
    """What a closed loop measured."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def request_bytes(model: str, length: int, seed: int) -> bytes:
    """Return a serialized ModelInfer request of one sequence."""
    ids = np.random.default_rng(seed).integers(1000, 30000, (1, length), dtype=np.int64)
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, array in (("input_ids", ids), ("attention_mask", np.ones_like(ids))):
        request.inputs.add(name=name, datatype="INT64", shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    return bytes(request.SerializeToString())


async def closed_loop(address: str, model: str, length: int, clients: int, seconds: float) -> LoadResult:
    """Run `clients` for `seconds`; raises on any failed request. Requests are serialized beforehand."""
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD, bytes, bytes)
        end = time.perf_counter() + seconds

        async def client(seed: int) -> None:
            body = request_bytes(model, length, seed)
            while time.perf_counter() < end:
                start = time.perf_counter()
                await call(body)
                latencies.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(client(seed) for seed in range(clients)))
        elapsed = time.perf_counter() - start
    p50, p99 = np.percentile(np.array(latencies) * 1e3, [50, 99])
    return LoadResult(len(latencies) / elapsed, float(p50), float(p99))
