"""Clients that use grpcio: proper calls of every sort, cancelled ones, and ones with little time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from tritonclient.grpc import service_pb2

from benchmarks.grpc_bytes import INFER
from benchmarks.soak.load import Load
from benchmarks.soak.models import MODELS, difference, request_bytes

SERVICE = INFER.rpartition("/")[0]
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
TOGETHER = 8
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own
]

OK, CANCELLED, EXPIRED = grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED


@asynccontextmanager
async def channel(load: Load) -> AsyncIterator[grpc.aio.Channel]:
    """Open a connection for one round."""
    async with grpc.aio.insecure_channel(load.address, _OPTIONS) as opened:
        yield opened


async def infer(
    load: Load,
    connection: grpc.aio.Channel,
    model: str,
    *,
    timeout_s: float | None = None,
    cancel_after: asyncio.Event | None = None,
    compression: grpc.Compression | None = None,
) -> None:
    """Ask a model and note what became of it. Only a call with a timeout or an event may end without its answer."""
    payload, identifier = load.payloads.take(model), load.identifier()
    request = request_bytes(model, payload, identifier)
    load.ledger.send(model)
    call = connection.unary_unary(INFER, bytes, bytes)(request, timeout=timeout_s, compression=compression)
    if cancel_after is not None:
        await cancel_after.wait()
        call.cancel()
    code = await call.code()
    if code is OK:
        load.ledger.answer(model, difference(await call, model, payload, identifier))
    elif (code is CANCELLED and cancel_after is not None) or (code is EXPIRED and timeout_s is not None):
        load.ledger.give_up(model)
    else:
        load.ledger.answer(model, f"{code.name}: {await call.details()}")


async def small(load: Load) -> None:
    """Many small calls on one connection, a few at a time."""
    async with channel(load) as connection:
        for _ in range(TOGETHER):
            await asyncio.gather(*(infer(load, connection, model) for model in ("exact", "mixed") * (TOGETHER // 2)))


async def large(load: Load) -> None:
    """Two calls of 16 MB on one connection, with small ones beside them."""
    async with channel(load) as connection:
        await asyncio.gather(*(infer(load, connection, model) for model in ("large", "exact", "large", "exact")))


async def compressed(load: Load) -> None:
    """Calls of two sizes, with both compressions of gRPC."""
    async with channel(load) as connection:
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            await infer(load, connection, "exact", compression=compression)
            await infer(load, connection, "medium", compression=compression)


async def cancelled(load: Load) -> None:
    """Calls that are cancelled at different moments, beside calls that share their batches and are not."""
    async with channel(load) as connection:
        at_once, later = asyncio.Event(), asyncio.Event()
        at_once.set()
        given_up = [
            asyncio.create_task(infer(load, connection, model, cancel_after=event))
            for model, event in (("mixed", at_once), ("mixed", later), ("large", later), ("mixed", later))
        ]
        await asyncio.gather(*(infer(load, connection, "mixed") for _ in range(2)))
        later.set()
        await asyncio.gather(*given_up, infer(load, connection, "mixed"))


async def expiring(load: Load) -> None:
    """Calls with deadlines about as long as the model's queue delay, and shorter."""
    async with channel(load) as connection:
        times = [load.random.uniform(0.0002, 0.012) for _ in range(TOGETHER)]
        await asyncio.gather(*(infer(load, connection, "mixed", timeout_s=time) for time in times))
        await infer(load, connection, "large", timeout_s=load.random.uniform(0.005, 0.1))


async def metadata(load: Load) -> None:
    """Ask what the server and its models are."""
    async with channel(load) as connection:

        async def ask(method: str, request: bytes) -> bytes:
            load.ledger.send("metadata")
            return bytes(await connection.unary_unary(method, bytes, bytes)(request))

        def check(holds: bool, what: str) -> None:
            load.ledger.answer("metadata", "" if holds else what)

        ready = service_pb2.ServerReadyResponse.FromString(await ask(f"{SERVICE}/ServerReady", b""))
        check(ready.ready, "not ready")
        health = health_pb2.HealthCheckResponse.FromString(await ask("/grpc.health.v1.Health/Check", b""))
        check(health.status == health_pb2.HealthCheckResponse.SERVING, "not serving")
        for model, elements in MODELS.items():
            name = service_pb2.ModelMetadataRequest(name=model).SerializeToString()
            described = service_pb2.ModelMetadataResponse.FromString(await ask(f"{SERVICE}/ModelMetadata", name))
            check(list(described.inputs[0].shape) == [-1, elements], f"the shape of {model}")
            config = service_pb2.ModelConfigResponse.FromString(await ask(f"{SERVICE}/ModelConfig", name))
            check(config.config.name == model, f"the config of {model}")


async def refused(load: Load) -> None:
    """Calls that the server must refuse, each by its own status."""
    async with channel(load) as connection:
        payload = load.payloads.take("exact")
        unknown = service_pb2.ModelInferRequest.FromString(request_bytes("exact", payload, ""))
        unknown.model_name = "no_such_model"
        short = service_pb2.ModelInferRequest.FromString(request_bytes("exact", payload, ""))
        short.raw_input_contents[0] = payload[:-4]
        for path, request, status in (
            (INFER, unknown.SerializeToString(), grpc.StatusCode.NOT_FOUND),
            (INFER, short.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT),
            (INFER, b"\xff" * 64, grpc.StatusCode.INTERNAL),
            (f"{SERVICE}/NoSuchMethod", b"", grpc.StatusCode.UNIMPLEMENTED),
        ):
            load.ledger.send("refused")
            code = await connection.unary_unary(path, bytes, bytes)(request).code()
            load.ledger.answer("refused", "" if code is status else f"{path}: {code.name}, not {status.name}")


async def statistics(load: Load) -> None:
    """Read a model's counters while they grow: they count all that was answered before."""
    async with channel(load) as connection:
        for _ in range(TOGETHER):
            answered = load.ledger.tallies["exact"].answered
            load.ledger.send("statistics")
            success, _ = await counters(connection, "exact")
            load.ledger.answer("statistics", "" if success >= answered else f"{success} of at least {answered} counted")


async def counters(connection: grpc.aio.Channel, model: str) -> tuple[int, int]:
    """Return how many requests of a model succeeded and failed, as the server counts."""
    request = service_pb2.ModelStatisticsRequest(name=model).SerializeToString()
    answer = service_pb2.ModelStatisticsResponse.FromString(
        await connection.unary_unary(f"{SERVICE}/ModelStatistics", bytes, bytes)(request)
    )
    counted = answer.model_stats[0].inference_stats
    return counted.success.count, counted.fail.count


async def reflection(load: Load) -> None:
    """Two streaming calls: one asks, reads and ends as it should, one is cancelled in its midst."""
    async with channel(load) as connection:
        for cancel in (False, True):
            talk: Any = connection.stream_stream(
                REFLECTION,
                request_serializer=ServerReflectionRequest.SerializeToString,
                response_deserializer=ServerReflectionResponse.FromString,
            )
            call = talk()
            for _ in range(3):
                load.ledger.send("reflection")
                await call.write(ServerReflectionRequest(list_services=""))
                answer = await call.read()
                services = [service.name for service in answer.list_services_response.service]
                load.ledger.answer("reflection", "" if SERVICE[1:] in services else f"services {services}")
            if cancel:
                call.cancel()
            else:
                await call.done_writing()
            if (code := await call.code()) is not (CANCELLED if cancel else OK):
                load.ledger.mistakes.append(f"reflection: {code.name}: {await call.details()}")
