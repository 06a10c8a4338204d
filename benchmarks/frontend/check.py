"""Are the answers right? Every peer is asked, at every load, with inputs that all differ, before it is measured.

h2load sees that an answer has the right length; this sees what is in it.
"""

import asyncio
import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np

from benchmarks.frontend.model import METHOD, MODEL, NUMBERS, PREFIX_BYTES, output_row, request_message

REQUESTS_EACH = 4  # of every place in flight
TEXT_CHARACTERS = NUMBERS * 4  # as many bytes as the tensor
LITSERVE_PATH = "/predict"


class WrongAnswerError(Exception):
    """A peer answered with something else than its input."""


def text_request(seed: int) -> tuple[str, bytes]:
    """Return a text and the JSON request that carries it."""
    text = "".join(map(chr, np.random.default_rng(seed).integers(ord("a"), ord("z"), TEXT_CHARACTERS)))
    return text, json.dumps({"input": text}).encode()


def grpc_answer_bytes(
    address: str, connections: int, in_flight: int, *, name: str = MODEL, numbers: int = NUMBERS
) -> int:
    """Ask over gRPC; return the length of an answer with its prefix. Raises WrongAnswerError, grpc.RpcError."""
    return asyncio.run(_ask_grpc(address, connections, in_flight, name, numbers))


def http_answer_bytes(port: int, connections: int) -> int:
    """Ask LitServe over HTTP/1.1; return the length of an answer's body. Raises WrongAnswerError."""
    with ThreadPoolExecutor(connections) as threads:
        (length,) = set(threads.map(lambda seed: _ask_http(port, seed), range(connections)))
    return length


async def _ask_grpc(address: str, connections: int, in_flight: int, name: str, numbers: int) -> int:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    lengths: set[int] = set()

    async def ask(channel: grpc.aio.Channel, seed: int) -> None:
        random = np.random.default_rng(seed)
        call = channel.unary_unary(METHOD, bytes, bytes)
        for _ in range(REQUESTS_EACH):
            row = random.random(numbers, np.float32)
            answer: bytes = await call(request_message(row, name))
            if not np.array_equal(output_row(answer), row):
                raise WrongAnswerError(f"{address} did not give its input back")
            lengths.add(len(answer) + PREFIX_BYTES)

    channels = [grpc.aio.insecure_channel(address, options) for _ in range(connections)]
    try:
        places = [(channel, place) for channel in channels for place in range(in_flight)]
        await asyncio.gather(*(ask(channel, seed) for seed, (channel, _) in enumerate(places)))
    finally:
        await asyncio.gather(*(channel.close(None) for channel in channels))
    if len(lengths) != 1:
        raise WrongAnswerError(f"{address} gave answers of several lengths, {sorted(lengths)}")
    return lengths.pop()


def _ask_http(port: int, seed: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for repeat in range(REQUESTS_EACH):
            text, body = text_request(seed * REQUESTS_EACH + repeat)
            connection.request("POST", LITSERVE_PATH, body, {"content-type": "application/json"})
            answer = connection.getresponse().read()
            if json.loads(answer) != {"output": text}:
                raise WrongAnswerError(f"LitServe did not give its input back: {answer!r}")
    finally:
        connection.close()
    return len(answer)
