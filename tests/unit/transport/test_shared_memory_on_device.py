"""Requests with shared memory on the way through the native wire to a device, which reads them by itself."""

import asyncio
import mmap
import os
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
from npuserve._proto.inference_pb2 import InferParameter, ModelInferRequest, ModelInferResponse
from npuserve.config.grpc_options import GrpcOptions
from npuserve.execution.ascend import AscendBackend
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from npuserve.service.regions import SharedMemoryRegions
from npuserve.service.routes import INFER_PATH, InferRoutes
from npuserve.service.table import TableOptions, method_table
from npuserve.transport.wire import WireFrontEnd
from support.emulator import LIBRARY
from support.served_models import add_model

KEY = f"npuserve_test_wire_device_{os.getpid()}"
PAGE = mmap.PAGESIZE
ROW_BYTES = 64


@asynccontextmanager
async def serving(repository: Path, backend: AscendBackend, regions: SharedMemoryRegions) -> AsyncIterator[str]:
    """The native front end over a registry with the model `pair`; its address."""
    add_model(repository, "pair")
    registry = ModelRegistry(ModelLoader({"ascend": backend}))
    await registry.load_all([repository])
    inference = InferenceService()
    inference.serve(registry)
    methods = method_table(registry, inference, TableOptions(server_id="npuserve", server_version="1", regions=regions))
    options = GrpcOptions(frontend="native", address="127.0.0.1", port=0)
    front_end = WireFrontEnd(methods, InferRoutes(registry), options, regions=regions)
    try:
        yield await front_end.start()
    finally:
        await front_end.stop()
        await registry.close()
        await front_end.release()


def refer(parameters: MutableMapping[str, InferParameter], offset: int) -> None:
    parameters["shared_memory_region"].string_param = "r"
    parameters["shared_memory_offset"].int64_param = offset
    parameters["shared_memory_byte_size"].int64_param = ROW_BYTES


def ask(channel: grpc.Channel) -> None:
    """Have the sum of the two first rows of region `r` put behind them. Raises grpc.RpcError."""
    request = ModelInferRequest(model_name="pair")
    for index in range(2):
        given = request.inputs.add(name=f"INPUT{index}", datatype="INT32", shape=[1, 16])
        refer(given.parameters, ROW_BYTES * index)
    refer(request.outputs.add(name="OUTPUT0").parameters, 2 * ROW_BYTES)
    call = channel.unary_unary(
        INFER_PATH,
        request_serializer=ModelInferRequest.SerializeToString,
        response_deserializer=ModelInferResponse.FromString,
    )
    call(request)


async def test_the_device_reads_what_a_request_over_the_wire_refers_to(tmp_path: Path) -> None:
    shared = Path("/dev/shm") / KEY
    shared.write_bytes(np.arange(PAGE // 4, dtype=np.int32).tobytes())
    backend, regions = AscendBackend([[str(LIBRARY)]]), SharedMemoryRegions()
    regions.follow(backend.regions)
    try:
        async with serving(tmp_path, backend, regions) as address:
            with grpc.insecure_channel(address) as channel:
                regions.register("r", KEY, 0, PAGE)
                while backend.borrowed_inputs == 0:
                    await asyncio.to_thread(ask, channel)
                before = backend.borrowed_inputs
                await asyncio.to_thread(ask, channel)
                assert backend.borrowed_inputs == before + 2
                rows = np.frombuffer(shared.read_bytes(), np.int32)
                np.testing.assert_array_equal(rows[32:48], rows[:16] + rows[16:32])
    finally:
        shared.unlink()
        await backend.close()
