"""Text to label, end to end: the same tokenizer on both, the same ONNX by the same ONNX Runtime, its class.

Twice, with two encoders: a small one, beside which the servers' own work shows, and the example's trained one, whose
computing is nearly all of a request.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
import tritonclient.grpc.aio as triton

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "bert_small"
sys.path.insert(0, str(EXAMPLE))

from corpora import SENTIMENTS, sentiment_corpus  # noqa: E402  # the example's modules import each other by these names
from export import Exported, export, write_onnx  # noqa: E402
from models import FirstTokenHead, TextModel, unpack_encoder  # noqa: E402
from transformers import BertConfig  # noqa: E402

TINY = "tiny"
MINILM = "sentiment"
ENCODERS = (TINY, MINILM)
MAX_BATCH_SIZE = 16
THREADS = 1
SENTENCES = 512
SEED = 20260101

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


_TOKENS = """\
name: "{encoder}_tokens"
backend: "python"
max_batch_size: {max_batch_size}
input [ {{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }} ]
output [ {{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }} ]
output [ {{ name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }} ]
dynamic_batching {{ }}
"""
_ENSEMBLE = """\
name: "{encoder}_text"
platform: "ensemble"
max_batch_size: {max_batch_size}
input [ {{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }} ]
output [ {{ name: "logits" data_type: TYPE_FP32 dims: [ {labels} ] label_filename: "labels.txt" }} ]
ensemble_scheduling {{
  step {{
    model_name: "{encoder}_tokens" model_version: -1
    input_map {{ key: "text" value: "text" }}
    output_map {{ key: "input_ids" value: "ids" }}
    output_map {{ key: "attention_mask" value: "mask" }}
  }}
  step {{
    model_name: "{encoder}" model_version: -1
    input_map {{ key: "input_ids" value: "ids" }}
    input_map {{ key: "attention_mask" value: "mask" }}
    output_map {{ key: "logits" value: "logits" }}
  }}
}}
"""


def write_repositories(work: Path, ours: Path, theirs: Path) -> None:
    """Write both repositories; they differ in the backend of the encoders alone."""
    for exported in (_tiny(work), export(MINILM, work)):
        for repository, backend in ((ours, "onnxruntime"), (theirs, "python")):
            _write_encoder(repository, exported, backend)
            _write_tokens(repository, exported.name, unpack_encoder(work) / "tokenizer.json")
            _write_ensemble(repository, exported)


def _write_tokens(repository: Path, encoder: str, tokenizer: Path) -> None:
    """Write the tokenizer: the example's Python model."""
    version = repository / f"{encoder}_tokens" / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tokenizer, version / "tokenizer.json")
    shutil.copyfile(EXAMPLE / "server_models" / "tokenizer.py", version / "model.py")
    shutil.copyfile(EXAMPLE / "tokens.py", version / "tokens.py")
    config = _TOKENS.format(encoder=encoder, max_batch_size=MAX_BATCH_SIZE)
    (version.parent / "config.pbtxt").write_text(config)


def _write_ensemble(repository: Path, exported: Exported) -> None:
    folder = repository / f"{exported.name}_text"
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in exported.labels))
    config = _ENSEMBLE.format(encoder=exported.name, max_batch_size=MAX_BATCH_SIZE, labels=len(exported.labels))
    (folder / "config.pbtxt").write_text(config)


def _tiny(work: Path) -> Exported:
    """Export a BERT of 2 layers and 128 hidden units with seeded weights: its labels mean nothing, but are the same."""
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=30522, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    config._attn_implementation = "eager"
    exported = Exported(TINY, work / "onnx" / f"{TINY}.onnx", SENTIMENTS, per_token=False)
    if not exported.path.exists():
        exported.path.parent.mkdir(parents=True, exist_ok=True)
        write_onnx(TextModel(config, FirstTokenHead(128, len(SENTIMENTS))).eval(), exported.path)
    return exported


def _write_encoder(repository: Path, exported: Exported, backend: str) -> None:
    version = repository / exported.name / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(exported.path, version / "model.onnx")
    if backend == "python":
        shutil.copyfile(Path(__file__).with_name("onnx_model.py"), version / "model.py")
    (repository / exported.name / "config.pbtxt").write_text(
        _ENCODER.format(
            name=exported.name,
            backend=backend,
            max_batch_size=MAX_BATCH_SIZE,
            labels=len(exported.labels),
            threads=THREADS,
        )
    )


def sentences() -> list[str]:
    """The stream of requests: held-out sentences of the corpus, in its order."""
    return [sentence.text for sentence in sentiment_corpus().held_out[:SENTENCES]]


async def ask(address: str, encoder: str, texts: Sequence[str]) -> list[str]:
    """Return the labels, asked one after another."""
    async with triton.InferenceServerClient(address) as client:
        return [await _label(client, encoder, text) for text in texts]


async def closed_loop(address: str, encoder: str, texts: Sequence[str], in_flight: int, seconds: float) -> float:
    """Keep so many requests in flight and return the answers per second."""
    stream: Iterator[str] = cycle(texts)
    answered = 0
    started = time.perf_counter()

    async with triton.InferenceServerClient(address) as client:

        async def one_after_another() -> None:
            nonlocal answered
            while time.perf_counter() - started < seconds:
                await _label(client, encoder, next(stream))
                answered += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(one_after_another())
    return answered / (time.perf_counter() - started)


async def _label(client: triton.InferenceServerClient, encoder: str, text: str) -> str:
    tensor = triton.InferInput("text", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()]], dtype=object))
    wanted = triton.InferRequestedOutput("logits", class_count=1)
    result = await client.infer(f"{encoder}_text", [tensor], outputs=[wanted])
    best: bytes = result.as_numpy("logits").ravel()[0]
    return best.decode().rpartition(":")[2]
