"""What users of `tritonclient` do, as functions of a server's address to all that they see of it."""

import queue
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

Seen = Any
Call = Callable[[triton.InferenceServerClient], Seen]


def pair_inputs(rows: int = 1) -> list[triton.InferInput]:
    """INPUT0 and INPUT1 of the `pair` model, of different values."""
    inputs = []
    for index in range(2):
        tensor = triton.InferInput(f"INPUT{index}", [rows, 16], "INT32")
        tensor.set_data_from_numpy(np.arange(16 * rows, dtype=np.int32).reshape(rows, 16) * (index + 2))
        inputs.append(tensor)
    return inputs


def seen_response(result: Any) -> tuple[str, list[Any]]:
    """The response and its arrays, as values that can be compared."""
    response = result.get_response()
    return str(response), [result.as_numpy(output.name).tolist() for output in response.outputs]


def _refusal(error: InferenceServerException) -> tuple[str, str]:
    return str(error.status()), str(error.message())


def _administration(client: triton.InferenceServerClient) -> list[Seen]:
    asked: list[Callable[[], Seen]] = [
        client.get_model_repository_index,
        lambda: client.load_model("pair"),
        lambda: client.unload_model("pair"),
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        client.get_trace_settings,
        client.get_log_settings,
    ]
    answers = []
    for ask in asked:
        try:
            answers.append(str(ask()))
        except InferenceServerException as error:
            answers.append(str(_refusal(error)))
    return answers


def _callback_infer(client: triton.InferenceServerClient) -> list[Seen]:
    """Ten asynchronous requests; the answers by request id."""
    answers: queue.Queue[Any] = queue.Queue()
    for index in range(10):
        model = "pair" if index != 4 else "nope"
        client.async_infer(
            model, pair_inputs(), lambda result, error: answers.put((result, error)), request_id=str(index)
        )
    seen = []
    for _ in range(10):
        result, error = answers.get(timeout=20)
        seen.append(str(_refusal(error)) if error else str(seen_response(result)))
    return sorted(seen)


def _stream(client: triton.InferenceServerClient) -> list[Seen]:
    """Answers and a refusal, in the order of their requests."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for model in ("pair", "nope", "pair"):
        client.async_stream_infer(model, pair_inputs(), request_id=model)
    seen = [answers.get(timeout=20) for _ in range(3)]
    client.stop_stream()
    return [_refusal(error) if error else seen_response(result) for result, error in seen]


def _infer(client: triton.InferenceServerClient, **options: Any) -> Seen:
    return seen_response(client.infer("pair", pair_inputs(3), request_id="q", **options))


_CALLS: dict[str, Call] = {
    "health": lambda client: (client.is_server_live(), client.is_server_ready(), client.is_model_ready("pair")),
    "readiness of what is unknown": lambda client: (client.is_model_ready("nope"), client.is_model_ready("pair", "7")),
    "server metadata": lambda client: client.get_server_metadata(as_json=True),
    "model metadata": lambda client: client.get_model_metadata("tokens", as_json=True),
    "model config": lambda client: client.get_model_config("pair", as_json=True),
    "unknown config": lambda client: client.get_model_config("nope"),
    "statistics of an idle model": lambda client: client.get_inference_statistics("idle", as_json=True),
    "infer": _infer,
    "infer with headers": lambda client: _infer(client, headers={"x-trace": "1", "x-other": "two words"}),
    "infer with parameters": lambda client: _infer(client, parameters={"key": "value", "number": 1, "flag": True}),
    "infer with a priority and a timeout": lambda client: _infer(client, priority=1, timeout=10_000_000),
    "infer with gzip": lambda client: _infer(client, compression_algorithm="gzip"),
    "infer with deflate": lambda client: _infer(client, compression_algorithm="deflate"),
    "infer with a client timeout": lambda client: _infer(client, client_timeout=30.0),
    "infer with one output": lambda client: _infer(client, outputs=[triton.InferRequestedOutput("OUTPUT1")]),
    "infer with classes": lambda client: _infer(
        client, outputs=[triton.InferRequestedOutput("OUTPUT1", class_count=2)]
    ),
    "infer of an unknown version": lambda client: _infer(client, model_version="5"),
    "infer of a wrong shape": lambda client: seen_response(client.infer("pair", pair_inputs(9))),
    "infer of too few inputs": lambda client: seen_response(client.infer("pair", pair_inputs()[:1])),
    "infer by callback": _callback_infer,
    "a stream": _stream,
    "administration": _administration,
}


def _blocking(call: Call) -> Callable[[str], Seen]:
    def seen(url: str) -> Seen:
        with triton.InferenceServerClient(url) as client:
            try:
                return call(client)
            except InferenceServerException as error:
                return _refusal(error)

    return seen


TRITON_CALLS: dict[str, Callable[[str], Seen]] = {name: _blocking(call) for name, call in _CALLS.items()}

AioCall = Callable[[triton_aio.InferenceServerClient], Awaitable[Seen]]


async def _aio_infer(client: triton_aio.InferenceServerClient, model: str = "pair", **options: Any) -> Seen:
    return seen_response(await client.infer(model, pair_inputs(2), request_id="a", **options))


async def _aio_health(client: triton_aio.InferenceServerClient) -> Seen:
    return await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready("nope")


_AIO_CALLS: dict[str, AioCall] = {
    "health": _aio_health,
    "server metadata": lambda client: client.get_server_metadata(as_json=True),
    "infer": _aio_infer,
    "infer with gzip": lambda client: _aio_infer(client, compression_algorithm="gzip"),
    "infer of an unknown model": lambda client: _aio_infer(client, "nope"),
    "infer of an unknown output": lambda client: _aio_infer(client, outputs=[triton.InferRequestedOutput("NOPE")]),
}


def _on_loop(call: AioCall) -> Callable[[str], Awaitable[Seen]]:
    async def seen(url: str) -> Seen:
        async with triton_aio.InferenceServerClient(url) as client:
            try:
                return await call(client)
            except InferenceServerException as error:
                return _refusal(error)

    return seen


TRITON_AIO_CALLS = {name: _on_loop(call) for name, call in _AIO_CALLS.items()}
