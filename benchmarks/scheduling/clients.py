"""Asks a server for the class of a sentence: by Triton's protocol over gRPC, or LitServe's way over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tritonclient.grpc.aio as triton

from benchmarks.scheduling.load import Ask

MODEL = "sentiment"
IDLE_SECONDS = 3.0
_HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
Logits = npt.NDArray[np.float32]


class Classifier(Protocol):
    """A connected client."""

    async def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of one sentence."""
        ...


class TritonClassifier:
    """Sends one row a request. pad_to: what the client pads it to; 0 sends the true length."""

    def __init__(self, client: triton.InferenceServerClient, pad_to: int) -> None:
        self._client = client
        self._pad_to = pad_to

    async def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of one sentence."""
        length = max(self._pad_to, len(ids))
        row = np.zeros((1, length), np.int64)
        mask = np.zeros((1, length), np.int64)
        row[0, : len(ids)] = ids
        mask[0, : len(ids)] = 1
        inputs = []
        for name, array in (("input_ids", row), ("attention_mask", mask)):
            tensor = triton.InferInput(name, array.shape, "INT64")
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        result = await self._client.infer(MODEL, inputs)
        answer: Logits = result.as_numpy("logits")[0]
        return answer


class LitServeClassifier:
    """Keeps connections open and has one request on each at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        # When each was used last: the server closes what has been idle for 5 s, at the moment of the next request too.
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of one sentence. Raises ConnectionError if the answer is not 200."""
        reader, writer = await self._connection()
        body = json.dumps({"input_ids": list(ids)}).encode()
        writer.write(_HEAD.format(length=len(body)).encode() + body)
        answer_head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer_head.partition("content-length:")[2].splitlines()[0])
        content = await reader.readexactly(length)
        if not answer_head.startswith("http/1.1 200"):
            raise ConnectionError(f"LitServe answered {answer_head.splitlines()[0]}: {content[:200]!r}")
        self._idle.append((time.monotonic(), reader, writer))
        return np.array(json.loads(content)["logits"], np.float32)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            used, reader, writer = self._idle.pop()
            if time.monotonic() - used < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        """Close the connections."""
        for _, _, writer in self._idle:
            writer.close()


@asynccontextmanager
async def triton_classifier(address: str, pad_to: int) -> AsyncIterator[TritonClassifier]:
    """Connect to a server that speaks Triton's protocol."""
    async with triton.InferenceServerClient(address) as client:
        yield TritonClassifier(client, pad_to)


@asynccontextmanager
async def litserve_classifier(port: int) -> AsyncIterator[LitServeClassifier]:
    """Connect to LitServe."""
    classifier = LitServeClassifier(port)
    try:
        yield classifier
    finally:
        classifier.close()


def asking(classifier: Classifier, sentences: Sequence[Sequence[int]]) -> Ask:
    """Return what sends the sentences in turn."""

    async def ask(number: int) -> None:
        await classifier.logits(sentences[number % len(sentences)])

    return ask
