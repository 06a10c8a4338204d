"""One tensor in and out of an identity model: 512 bytes over HTTP, 16 MiB through system shared memory."""

import json
import time
import urllib.request
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
import tritonclient.utils.shared_memory as shm

from benchmarks.frontend.model import MODEL, NUMBERS, write_model

LARGE = "large"
LARGE_NUMBERS = 4 * 1024 * 1024


def write_models(repository: Path, backend: str) -> None:
    """Write both models; `backend` copies what it gets."""
    write_model(repository, backend)
    write_model(repository, backend, name=LARGE, numbers=LARGE_NUMBERS, max_batch_size=1)


def http_request(path: Path) -> int:
    """Write the body of an HTTP infer with binary data, in and out; return how long its JSON is."""
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "INPUT0",
                    "shape": [1, NUMBERS],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": NUMBERS * 4},
                }
            ],
            "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}],
        },
        separators=(",", ":"),
    ).encode()
    path.write_bytes(header + np.arange(NUMBERS, dtype=np.float32).tobytes())
    return len(header)


def check_http(http_port: int, body: Path, header_bytes: int) -> None:
    """Raise ValueError unless the server gives the tensor back unchanged."""
    given = body.read_bytes()
    url = f"http://127.0.0.1:{http_port}{http_path()}"
    request = urllib.request.Request(url, given, {"Inference-Header-Content-Length": str(header_bytes)})
    with urllib.request.urlopen(request, timeout=30) as response:
        answered: bytes = response.read()[int(response.headers["Inference-Header-Content-Length"]) :]
    if answered != given[header_bytes:]:
        raise ValueError(f"{url}: the tensor came back changed")


def http_path() -> str:
    """The request's path."""
    return f"/v2/models/{MODEL}/infer"


def through_shared_memory(address: str, seconds: float) -> float:
    """Send the large tensor in one region and get it back in another; return how often a second. Checks the bytes."""
    size = LARGE_NUMBERS * 4
    given = np.arange(LARGE_NUMBERS, dtype=np.float32).reshape(1, -1)
    regions = {name: shm.create_shared_memory_region(name, f"/npuserve_parity_{name}", size) for name in ("in", "out")}
    client = triton.InferenceServerClient(address)
    try:
        shm.set_shared_memory_region(regions["in"], [given])
        for name in regions:
            client.register_system_shared_memory(name, f"/npuserve_parity_{name}", size)
        tensor = triton.InferInput("INPUT0", list(given.shape), "FP32")
        tensor.set_shared_memory("in", size)
        wanted = triton.InferRequestedOutput("OUTPUT0")
        wanted.set_shared_memory("out", size)
        client.infer(LARGE, [tensor], outputs=[wanted])
        if not np.array_equal(shm.get_contents_as_numpy(regions["out"], np.float32, list(given.shape)), given):
            raise ValueError(f"{address}: the tensor came back changed")
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            client.infer(LARGE, [tensor], outputs=[wanted])
            count += 1
        return count / (time.perf_counter() - started)
    finally:
        client.unregister_system_shared_memory()
        client.close()
        for region in regions.values():
            shm.destroy_shared_memory_region(region)
