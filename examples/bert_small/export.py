"""PyTorch to ONNX: inputs `input_ids` and `attention_mask` (INT64), output `logits`, dynamic batch and sequence."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from corpora import SENTIMENTS, ner_corpus
from models import BERT_SMALL_LABELS, TextModel, bert_small, load_trained, sentence_model, token_model, unpack_encoder
from progress import Progress
from stamps import fingerprint, is_current, mark_current
from torch import Tensor

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights"

OPSET = 18
# The largest difference from PyTorch that an export may show; float32 sums in another order differ by about 2e-6.
TOLERANCE = 1e-4
# (batch, sequence) at which the export is compared, chosen unlike the shape that it was traced with.
CHECKED_SHAPES = ((1, 1), (1, 9), (3, 33), (2, 128))


class ExportError(RuntimeError):
    """The ONNX graph does not compute what PyTorch computes."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A model as an ONNX file: its labels in the order of the logits, and whether every token has logits of its own."""

    name: str
    path: Path
    labels: tuple[str, ...]
    per_token: bool


def labels_of(name: str) -> tuple[str, ...]:
    """Return the labels of a model, in the order of its logits."""
    if name == "sentiment":
        return SENTIMENTS
    if name == "ner":
        return ner_corpus().tags
    if name == "bert_small":
        return tuple(f"label_{i}" for i in range(BERT_SMALL_LABELS))
    raise ValueError(f"unknown model {name!r}: sentiment, ner, bert_small")


def load_model(name: str, work: Path) -> TextModel:
    """Return a model in evaluation mode; `work` is where the encoder is unpacked."""
    labels = labels_of(name)
    if name == "bert_small":
        return bert_small()
    build = token_model if name == "ner" else sentence_model
    return load_trained(build(unpack_encoder(work), len(labels)), WEIGHTS / f"{name}.safetensors")


def export(name: str, work: Path) -> Exported:
    """Export a model to `work/onnx/<name>.onnx` unless that is current; check it against PyTorch.

    Raises ExportError, MissingPackageError.
    """
    exported = Exported(name, work / "onnx" / f"{name}.onnx", labels_of(name), per_token=name == "ner")
    weights = [] if name == "bert_small" else [WEIGHTS / f"{name}.safetensors"]
    key = fingerprint(HERE / "models.py", Path(__file__), torch.__version__, *weights)
    if is_current(exported.path, key):
        return exported
    exported.path.parent.mkdir(parents=True, exist_ok=True)
    with Progress(f"{name}: PyTorch to ONNX", 2 + len(CHECKED_SHAPES)) as bar:
        model = load_model(name, work)
        bar.advance(note="tracing")
        write_onnx(model, exported.path)
        bar.advance(note="checking")
        check_onnx(model, exported.path, bar)
    mark_current(exported.path, key)
    return exported


def write_onnx(model: TextModel, path: Path) -> None:
    """Write the ONNX graph of a model, weights inside."""
    batch = torch.export.Dim("batch")
    sequence = torch.export.Dim("sequence", max=512)
    axes = {0: batch, 1: sequence}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Remarks of the exporter on its own insides.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            _example(2, 16),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=(axes, axes),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def check_onnx(model: TextModel, path: Path, bar: Progress) -> None:
    """Compare ONNX Runtime with PyTorch at CHECKED_SHAPES. Raises ExportError."""
    graph = onnx.load(str(path))
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch, sequence in CHECKED_SHAPES:
        ids, mask = _example(batch, sequence)
        with torch.no_grad():
            expected = model(ids, mask).numpy()
        (got,) = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        error = float(np.abs(got - expected).max())
        if got.shape != expected.shape or not error < TOLERANCE:
            raise ExportError(
                f"{path.name} at {batch} × {sequence}: max abs error {error:.2e}, allowed {TOLERANCE:.0e}"
            )
        bar.advance(note=f"max abs error {error:.1e}")


def _example(batch: int, sequence: int) -> tuple[Tensor, Tensor]:
    """Return ids and a mask with the last row half masked."""
    generator = torch.Generator().manual_seed(sequence)
    ids = torch.randint(1000, 30000, (batch, sequence), generator=generator)
    mask = torch.ones(batch, sequence, dtype=torch.int64)
    mask[-1, max(1, sequence // 2) :] = 0
    return ids, mask
