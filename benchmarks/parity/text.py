"""Text to label, end to end: the same tokenizer file on both, the same ONNX by the same ONNX Runtime, its class.

Twice, with two encoders: a small one, beside which the servers' own work shows, and the example's trained one, whose
computing is nearly all of a request.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import tritonclient.grpc.aio as triton
from tritonclient.grpc import service_pb2

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
MAX_TOKENS = 64  # as the example cuts
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
backend: "{backend}"
max_batch_size: {max_batch_size}
input [ {{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }} ]
output [ {{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }} ]
output [ {{ name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }} ]
parameters {{ key: "max_tokens" value {{ string_value: "{tokens}" }} }}
{batching}
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
            _write_tokens(repository, exported.name, unpack_encoder(work) / "tokenizer.json", backend)
            _write_ensemble(repository, exported)


def _write_tokens(repository: Path, encoder: str, tokenizer: Path, encoder_backend: str) -> None:
    """Write the tokenizer: within our server; for Triton, which has none, in its python backend."""
    version = repository / f"{encoder}_tokens" / "1"
    version.mkdir(parents=True, exist_ok=True)
    ours = encoder_backend == "onnxruntime"
    shutil.copyfile(tokenizer, version / "tokenizer.json")
    if not ours:
        shutil.copyfile(EXAMPLE / "server_models" / "tokenizer.py", version / "model.py")
        shutil.copyfile(EXAMPLE / "tokens.py", version / "tokens.py")
    config = _TOKENS.format(
        encoder=encoder,
        backend="tokenizer" if ours else "python",
        max_batch_size=MAX_BATCH_SIZE,
        batching="" if ours else "dynamic_batching { }",
        tokens=MAX_TOKENS,
    )
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


def requests(encoder: str, texts: Sequence[str], labels: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the messages that ask for the labels, and what is in the answer to each."""
    return [(_message(encoder, text), b":" + label.encode()) for text, label in zip(texts, labels, strict=True)]


def _message(encoder: str, text: str) -> bytes:
    message = service_pb2.ModelInferRequest(model_name=f"{encoder}_text")
    message.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
    message.outputs.add(name="logits").parameters["classification"].int64_param = 1
    content = text.encode()
    message.raw_input_contents.append(len(content).to_bytes(4, "little") + content)
    return bytes(message.SerializeToString())


async def _label(client: triton.InferenceServerClient, encoder: str, text: str) -> str:
    tensor = triton.InferInput("text", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()]], dtype=object))
    wanted = triton.InferRequestedOutput("logits", class_count=1)
    result = await client.infer(f"{encoder}_text", [tensor], outputs=[wanted])
    best: bytes = result.as_numpy("logits").ravel()[0]
    return best.decode().rpartition(":")[2]
