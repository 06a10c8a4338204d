"""Text to label, end to end: the same tokenizer and last step on both, the same ONNX by the same ONNX Runtime."""

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import tritonclient.grpc.aio as triton

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "bert_small"
sys.path.insert(0, str(EXAMPLE))

from corpora import sentiment_corpus  # noqa: E402  # the example's modules import each other by these names
from export import Exported, export  # noqa: E402
from models import unpack_encoder  # noqa: E402
from text_models import text_model, write_text_model  # noqa: E402

MODEL = "sentiment"
MAX_BATCH_SIZE = 16
THREADS = 1
SENTENCES = 512

_ENCODER = """\
name: "{name}"
backend: "{backend}"
max_batch_size: {max_batch_size}
input [ {{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }} ]
input [ {{ name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }} ]
output [ {{ name: "logits" data_type: TYPE_FP32 dims: [ {labels} ] }} ]
instance_group {{ count: 1 kind: KIND_CPU }}
dynamic_batching {{ }}
parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}
"""


def write_repositories(work: Path, ours: Path, theirs: Path) -> None:
    """Write both repositories; they differ in the backend of the encoder alone."""
    exported = export(MODEL, work)
    for repository, backend in ((ours, "onnxruntime"), (theirs, "python")):
        _write_encoder(repository, exported, backend)
        labels = repository / "labels.txt"
        labels.write_text("".join(f"{label}\n" for label in exported.labels))
        write_text_model(
            repository,
            text_model(MODEL, len(exported.labels)),
            tokenizer=unpack_encoder(work) / "tokenizer.json",
            labels=labels,
            max_batch_size=MAX_BATCH_SIZE,
        )


def _write_encoder(repository: Path, exported: Exported, backend: str) -> None:
    version = repository / MODEL / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(exported.path, version / "model.onnx")
    if backend == "python":
        shutil.copyfile(Path(__file__).with_name("onnx_model.py"), version / "model.py")
    (repository / MODEL / "config.pbtxt").write_text(
        _ENCODER.format(
            name=MODEL,
            backend=backend,
            max_batch_size=MAX_BATCH_SIZE,
            labels=len(exported.labels),
            threads=THREADS,
        )
    )


def sentences() -> list[str]:
    """The stream of requests: held-out sentences of the corpus, in its order."""
    return [sentence.text for sentence in sentiment_corpus().held_out[:SENTENCES]]


async def ask(address: str, texts: Sequence[str]) -> list[str]:
    """Return the labels, asked one after another."""
    async with triton.InferenceServerClient(address) as client:
        return [await _label(client, text) for text in texts]


async def closed_loop(address: str, texts: Sequence[str], in_flight: int, seconds: float) -> float:
    """Keep so many requests in flight and return the answers per second."""
    stream: Iterator[str] = cycle(texts)
    answered = 0
    started = time.perf_counter()

    async with triton.InferenceServerClient(address) as client:

        async def one_after_another() -> None:
            nonlocal answered
            while time.perf_counter() - started < seconds:
                await _label(client, next(stream))
                answered += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(one_after_another())
    return answered / (time.perf_counter() - started)


async def _label(client: triton.InferenceServerClient, text: str) -> str:
    tensor = triton.InferInput("text", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()]], dtype=object))
    result = await client.infer(f"{MODEL}_text", [tensor])
    label: bytes = result.as_numpy("label")[0, 0]
    return label.decode()
