"""System shared memory with models on the emulated device: what it reads by itself is what the client wrote."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shm
from support.served_models import add_model
from support.server import Server, serving
from tritonclient.utils import InferenceServerException

FRONT_ENDS = ("native", "grpcio")
GRPC_ALONE = ("--allow-http=false", "--allow-metrics=false")
KEY = f"/npuserve_test_device_{os.getpid()}"
SIZE = 64
REGION_BYTES = 2**20


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    repository = tmp_path_factory.mktemp("shared_memory_on_device")
    add_model(repository, "pair")
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(repository, f"--frontend={name}", *GRPC_ALONE)) for name in FRONT_ENDS}


class Client:
    """The stock client, with one region: a place in it has both inputs and both outputs, of 64 bytes each."""

    def __init__(self, url: str) -> None:
        self._client = triton.InferenceServerClient(url)
        self._region = shm.create_shared_memory_region("region", KEY, REGION_BYTES)

    def close(self) -> None:
        self.unregister()
        self._client.close()
        shm.destroy_shared_memory_region(self._region)

    def register(self) -> None:
        self._client.register_system_shared_memory("region", KEY, REGION_BYTES)

    def unregister(self) -> None:
        self._client.unregister_system_shared_memory("region")

    def infer(self, place: int) -> None:
        """Ask for the sum and the difference of numbers of this call's own. Raises InferenceServerException."""
        start = 4 * SIZE * place
        a = np.arange(16, dtype=np.int32) + 1000 * place
        b = np.full(16, place, np.int32)
        shm.set_shared_memory_region(self._region, [a, b], offset=start)
        given = [triton.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
        wanted = [triton.InferRequestedOutput(f"OUTPUT{i}") for i in range(2)]
        for i in range(2):
            given[i].set_shared_memory("region", SIZE, start + SIZE * i)
            wanted[i].set_shared_memory("region", SIZE, start + SIZE * (2 + i))
        self._client.infer("pair", given, outputs=wanted)
        np.testing.assert_array_equal(self._output(start + 2 * SIZE), a + b)
        np.testing.assert_array_equal(self._output(start + 3 * SIZE), a - b)

    def _output(self, offset: int) -> npt.NDArray[np.int32]:
        values: npt.NDArray[np.int32] = shm.get_contents_as_numpy(self._region, np.int32, [16], offset=offset)
        return values


@pytest.fixture(params=FRONT_ENDS)
def client(servers: dict[str, Server], request: pytest.FixtureRequest) -> Iterator[Client]:
    client = Client(servers[request.param].url)
    yield client
    client.close()


def test_answers_are_right_from_the_first_request_on(client: Client) -> None:
    client.register()
    for place in range(200):
        client.infer(place)


def test_no_answer_is_wrong_while_the_region_is_unregistered_and_registered(client: Client) -> None:
    client.register()

    def ask(place: int) -> int:
        try:
            client.infer(place)
        except InferenceServerException as error:
            assert "Unable to find shared memory region: 'region'" in str(error)
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, place) for place in range(400)]
        for _ in range(20):
            client.unregister()
            client.register()
        assert sum(each.result() for each in asked) > 0
    client.infer(0)
