"""System shared memory with the stock client's utilities, on both front ends."""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shm
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.utils import InferenceServerException

FRONT_ENDS = ("native", "grpcio")
GRPC_ALONE = ("--allow-http=false", "--allow-metrics=false")
PAGE = mmap.PAGESIZE
SIZE = 64
KEY = f"/npuserve_test_{os.getpid()}"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared_memory")
    add_identity_model(folder, "copy", copy_config("INT32", 16, rest="max_batch_size: 4"))
    add_identity_model(folder, "large", copy_config("FP32", 2**22))
    return folder


@pytest.fixture(scope="module")
def servers(repository: Path) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(repository, f"--frontend={name}", *GRPC_ALONE)) for name in FRONT_ENDS}


@pytest.fixture(params=FRONT_ENDS)
def client(servers: dict[str, Server], request: pytest.FixtureRequest) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(servers[request.param].url) as client:
        yield client
        client.unregister_system_shared_memory()


@contextmanager
def region(name: str = "region", key: str = KEY, size: int = 2 * PAGE) -> Iterator[Any]:
    handle = shm.create_shared_memory_region(name, key, size)
    try:
        yield handle
    finally:
        shm.destroy_shared_memory_region(handle)


@pytest.fixture
def memory(client: triton.InferenceServerClient) -> Iterator[Any]:
    """A region of two pages, registered as `region`."""
    with region() as handle:
        client.register_system_shared_memory("region", KEY, 2 * PAGE)
        yield handle


def shared_input(
    byte_size: int = SIZE,
    offset: int = 0,
    region: str = "region",
    shape: tuple[int, ...] = (1, 16),
    dtype: str = "INT32",
) -> triton.InferInput:
    given = triton.InferInput("x", list(shape), dtype)
    given.set_shared_memory(region, byte_size, offset)
    return given


def shared_output(byte_size: int = SIZE, offset: int = PAGE, region: str = "region") -> triton.InferRequestedOutput:
    wanted = triton.InferRequestedOutput("y")
    wanted.set_shared_memory(region, byte_size, offset)
    return wanted


def numbers(seed: int = 0, rows: int = 1) -> npt.NDArray[np.int32]:
    return np.random.default_rng(seed).integers(-(2**31), 2**31 - 1, (rows, 16), dtype=np.int32)


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        call(*arguments, **options)
    return str(caught.value.status()).removeprefix("StatusCode."), caught.value.message()


def test_inputs_and_outputs_lie_in_a_region(client: triton.InferenceServerClient, memory: Any) -> None:
    given = numbers()
    shm.set_shared_memory_region(memory, [given])
    result = client.infer("copy", [shared_input()], outputs=[shared_output()], request_id="7")
    np.testing.assert_array_equal(shm.get_contents_as_numpy(memory, np.int32, [1, 16], PAGE), given)
    response = result.get_response()
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", "INT32", [1, 16])
    assert list(response.raw_output_contents) == [b""]
    assert (response.id, response.model_version) == ("7", "1")


def test_any_offset_and_an_output_larger_than_needed_will_do(client: triton.InferenceServerClient, memory: Any) -> None:
    given = numbers(1, 2)
    shm.set_shared_memory_region(memory, [given], 3)
    client.infer("copy", [shared_input(2 * SIZE, 3, shape=(2, 16))], outputs=[shared_output(PAGE - 1, PAGE + 1)])
    np.testing.assert_array_equal(shm.get_contents_as_numpy(memory, np.int32, [2, 16], PAGE + 1), given)


def test_an_input_of_its_own_and_an_output_in_the_region(client: triton.InferenceServerClient, memory: Any) -> None:
    given = triton.InferInput("x", [1, 16], "INT32")
    given.set_data_from_numpy(numbers(2))
    client.infer("copy", [given], outputs=[shared_output()])
    np.testing.assert_array_equal(shm.get_contents_as_numpy(memory, np.int32, [1, 16], PAGE), numbers(2))
    result = client.infer("copy", [shared_input(offset=PAGE)])
    np.testing.assert_array_equal(result.as_numpy("y"), numbers(2))


def test_streams_take_regions_too(client: triton.InferenceServerClient, memory: Any) -> None:
    import queue

    shm.set_shared_memory_region(memory, [numbers(3)])
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put(error))
    client.async_stream_infer("copy", [shared_input()], outputs=[shared_output()])
    assert answers.get(timeout=30) is None
    client.stop_stream()
    np.testing.assert_array_equal(shm.get_contents_as_numpy(memory, np.int32, [1, 16], PAGE), numbers(3))


def test_a_tensor_of_megabytes(client: triton.InferenceServerClient) -> None:
    given = np.arange(2**22, dtype=np.float32)
    with region(key=KEY + "_large", size=2 * given.nbytes) as handle:
        client.register_system_shared_memory("region", KEY + "_large", 2 * given.nbytes)
        shm.set_shared_memory_region(handle, [given])
        asked = shared_input(given.nbytes, shape=given.shape, dtype="FP32")
        client.infer("large", [asked], outputs=[shared_output(given.nbytes, given.nbytes)])
        np.testing.assert_array_equal(shm.get_contents_as_numpy(handle, np.float32, given.shape, given.nbytes), given)


def test_a_region_may_be_a_part_of_an_object(client: triton.InferenceServerClient) -> None:
    with region() as handle:
        client.register_system_shared_memory("part", KEY, PAGE, PAGE)
        shm.set_shared_memory_region(handle, [numbers(4)], PAGE)
        result = client.infer("copy", [shared_input(region="part")])
        np.testing.assert_array_equal(result.as_numpy("y"), numbers(4))
        assert refusal(client.infer, "copy", [shared_input(offset=PAGE, region="part")]) == (
            "INVALID_ARGUMENT",
            "Invalid offset for shared memory region: 'part'",
        )


def test_status_tells_what_is_registered(client: triton.InferenceServerClient, memory: Any) -> None:
    client.register_system_shared_memory("part", KEY, PAGE, PAGE)
    regions = client.get_system_shared_memory_status(as_json=True)["regions"]
    assert regions == {
        "region": {"name": "region", "key": KEY, "byte_size": str(2 * PAGE)},
        "part": {"name": "part", "key": KEY, "offset": str(PAGE), "byte_size": str(PAGE)},
    }
    assert list(client.get_system_shared_memory_status("part").regions) == ["part"]
    client.unregister_system_shared_memory("part")
    assert list(client.get_system_shared_memory_status().regions) == ["region"]
    client.unregister_system_shared_memory("never registered")
    assert refusal(client.get_system_shared_memory_status, "part") == (
        "NOT_FOUND",
        "Unable to find system shared memory region: 'part'",
    )


# Stands for KEY where it would be in a test's name, which is the same in every process.
OWN = "KEY"


@pytest.mark.parametrize(
    ("name", "key", "size", "offset", "expected"),
    [
        ("region", OWN, PAGE, 0, ("ALREADY_EXISTS", "shared memory region 'region' already in manager")),
        ("r", "/not_there", 8, 0, ("INTERNAL", "Unable to open shared memory region: '/not_there'")),
        ("r", "/../etc/passwd", 8, 0, ("INTERNAL", "Unable to open shared memory region: '/../etc/passwd'")),
        ("r", "/..", 8, 0, ("INTERNAL", "Unable to open shared memory region: '/..'")),
        ("r", "", 8, 0, ("INVALID_ARGUMENT", "cannot register shared memory region 'r' - invalid shm key ''")),
        ("r", "//", 8, 0, ("INVALID_ARGUMENT", "cannot register shared memory region 'r' - invalid shm key '//'")),
        (
            "r",
            "/triton_python_backend_shm_region_1",
            8,
            0,
            (
                "INVALID_ARGUMENT",
                "cannot register shared memory region 'r' with key '/triton_python_backend_shm_region_1' as the key "
                "contains the reserved prefix 'triton_python_backend_shm_region_'",
            ),
        ),
        ("r", OWN, 2 * PAGE + 1, 0, ("INVALID_ARGUMENT", "failed to register shared memory region 'r': invalid args")),
        ("r", OWN, PAGE + 1, PAGE, ("INVALID_ARGUMENT", "failed to register shared memory region 'r': invalid args")),
        ("r", OWN, 1, 2**64 - 1, ("INVALID_ARGUMENT", "failed to register shared memory region 'r': invalid args")),
        (
            "r",
            OWN,
            0,
            0,
            (
                "INVALID_ARGUMENT",
                "failed to register shared memory region 'r': unable to process address spaceInvalid argument",
            ),
        ),
        (
            "r",
            OWN,
            8,
            8,
            (
                "INVALID_ARGUMENT",
                "failed to register shared memory region 'r': unable to process address spaceInvalid argument",
            ),
        ),
    ],
)
def test_what_cannot_be_registered(
    client: triton.InferenceServerClient,
    memory: Any,
    name: str,
    key: str,
    size: int,
    offset: int,
    expected: tuple[str, str],
) -> None:
    key = KEY if key == OWN else key
    assert refusal(client.register_system_shared_memory, name, key, size, offset) == expected
    assert list(client.get_system_shared_memory_status().regions) == ["region"]


BEYOND = "Invalid offset + byte size for shared memory region: 'region'"
NO_OFFSET = "Invalid offset for shared memory region: 'region'"


@pytest.mark.parametrize(
    ("offset", "byte_size", "text"),
    [
        (2 * PAGE, SIZE, NO_OFFSET),
        (2**63 - 1, SIZE, NO_OFFSET),
        (-1, SIZE, NO_OFFSET),
        (-(2**63), SIZE, NO_OFFSET),
        (2 * PAGE - SIZE + 1, SIZE, BEYOND),
        (0, 2 * PAGE + 1, BEYOND),
        (0, 0, BEYOND),
        (0, 2**63 - 1, BEYOND),
        (0, -1, BEYOND),
        (
            1,
            -1,
            f"Integer overflow detected: byte_size ({2**64 - 1}) + offset (1) exceeds maximum value ({2**64 - 1}) for "
            "region 'region'",
        ),
    ],
)
@pytest.mark.parametrize("place", ["input", "output"])
def test_no_offset_reaches_outside_a_region(
    client: triton.InferenceServerClient, memory: Any, place: str, offset: int, byte_size: int, text: str
) -> None:
    given, wanted = shared_input(), shared_output()
    tensor: Any = given._get_tensor() if place == "input" else wanted._get_tensor()
    tensor.parameters["shared_memory_offset"].int64_param = offset
    tensor.parameters["shared_memory_byte_size"].int64_param = byte_size
    assert refusal(client.infer, "copy", [given], outputs=[wanted]) == ("INVALID_ARGUMENT", text)


def test_an_unknown_region_is_not_found(client: triton.InferenceServerClient, memory: Any) -> None:
    expected = ("NOT_FOUND", "Unable to find shared memory region: 'nope'")
    assert refusal(client.infer, "copy", [shared_input(region="nope")]) == expected
    assert refusal(client.infer, "copy", [shared_input()], outputs=[shared_output(region="nope")]) == expected


def test_the_size_that_is_stated_must_be_the_tensors(client: triton.InferenceServerClient, memory: Any) -> None:
    assert refusal(client.infer, "copy", [shared_input(SIZE - 4)], request_id="7") == (
        "INVALID_ARGUMENT",
        f"[request id: 7] input byte size mismatch for input 'x' for model 'copy'. Expected {SIZE}, got {SIZE - 4}",
    )


def test_an_output_needs_the_room(client: triton.InferenceServerClient, memory: Any) -> None:
    shm.set_shared_memory_region(memory, [np.full(16, 7, np.int32)], PAGE)
    assert refusal(client.infer, "copy", [shared_input()], outputs=[shared_output(SIZE - 32)]) == (
        "INTERNAL",
        "shared memory size specified with the request for output 'y' (32 bytes) should be at least 64 bytes to hold "
        "the results",
    )
    assert shm.get_contents_as_numpy(memory, np.int32, [16], PAGE).tolist() == [7] * 16


def test_an_unregistered_region_is_gone_and_its_name_free(client: triton.InferenceServerClient, memory: Any) -> None:
    client.unregister_system_shared_memory("region")
    assert refusal(client.infer, "copy", [shared_input()])[0] == "NOT_FOUND"
    client.register_system_shared_memory("region", KEY, PAGE)
    client.infer("copy", [shared_input()])


def test_an_object_that_its_owner_made_smaller_harms_nobody(client: triton.InferenceServerClient, memory: Any) -> None:
    os.truncate(f"/dev/shm{KEY}", 0)
    try:
        code, text = refusal(client.infer, "copy", [shared_input()])
        assert (code, text) == (
            "INVALID_ARGUMENT",
            "the object of shared memory region 'region' was made smaller than the region",
        )
    finally:
        os.truncate(f"/dev/shm{KEY}", 2 * PAGE)
    client.infer("copy", [shared_input()])


def test_cuda_calls_are_answered_as_without_a_gpu(client: triton.InferenceServerClient) -> None:
    assert not client.get_cuda_shared_memory_status().regions
    client.unregister_cuda_shared_memory()
    client.unregister_cuda_shared_memory("r")
    assert refusal(client.get_cuda_shared_memory_status, "r") == (
        "NOT_FOUND",
        "Unable to find cuda shared memory region: 'r'",
    )
    assert refusal(client.register_cuda_shared_memory, "r", b"AAAA", 0, 8) == (
        "INVALID_ARGUMENT",
        "failed to register CUDA shared memory region: 'r', GPUs not supported",
    )


def test_the_extension_is_announced_and_that_of_cuda_is_not(client: triton.InferenceServerClient) -> None:
    announced = client.get_server_metadata().extensions
    assert "system_shared_memory" in announced
    assert "cuda_shared_memory" not in announced
