"""Stage folders as the chain leaves them, of a model so small that its answers are known exactly."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from npuserve.migrate.chain.settings import ServeSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Workspace
from npuserve.migrate.chain.tensors import Tensors, save_samples
from support.models import compile_model, expected_tokens, tokens

GEARS = [(rows, length) for rows in (1, 2, 4, 8) for length in (8, 16)]


def token_samples(lengths: Sequence[int]) -> list[Tensors]:
    random = np.random.default_rng(1)
    return [
        {"input_ids": random.integers(1, 1000, (1, length)), "attention_mask": np.ones((1, length), np.int64)}
        for length in lengths
    ]


def exported(work: Path, lengths: Sequence[int] = (3, 5, 5, 8, 11, 16), labels: Sequence[str] = ()) -> None:
    """S1's folder."""
    folder = work / "S1_export"
    folder.mkdir(parents=True)
    onnx.save(tokens(), str(folder / "model.onnx"))
    samples = token_samples(lengths)
    save_samples(folder / "baseline.npz", samples)
    answers = [{"logits": expected_tokens(each["input_ids"], each["attention_mask"])} for each in samples]
    save_samples(folder / "baseline_outputs.npz", answers)
    if labels:
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))


def compiled(work: Path) -> None:
    """S2's folder."""
    folder = work / "S2_compile"
    folder.mkdir(parents=True)
    dims = ";".join(f"{rows},{length},{rows},{length}" for rows, length in GEARS)
    compile_model(
        tokens(),
        folder / "model",
        "--input_shape=input_ids:-1,-1;attention_mask:-1,-1",
        f"--dynamic_dims={dims}",
        "--precision_mode=must_keep_origin_dtype",
    )
    shapes = [{"input_ids": list(gear), "attention_mask": list(gear)} for gear in GEARS]
    gears = {"batches": [1, 2, 4, 8], "lengths": [8, 16], "gears": shapes}
    (folder / "gears.json").write_text(json.dumps(gears))


def workspace(work: Path, backend: str) -> Workspace:
    source = SourceSettings(name="words", onnx=work / "S1_export" / "model.onnx")
    return Workspace(settings=Settings(source=source, serve=ServeSettings(backend=backend)), work=work)
