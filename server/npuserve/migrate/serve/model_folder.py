"""Lays out a model's folder: config, labels, the compiled file, warm-up requests, golden answers."""

import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from npuserve._proto.model_config_pb2 import DataType, ModelConfig
from npuserve.config.golden import DEFAULT_MIN_COSINE, MAX_ABS_ERROR, MIN_COSINE
from npuserve.core.dtype import Dtype
from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.chain.tensors import Tensors, save_samples
from npuserve.migrate.compare.limits import least_cosine, limits_of, served_mode
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.gear_flags import gears_parameter
from npuserve.migrate.serve.client import raw
from npuserve.migrate.serve.graph_interface import graph_interface
from npuserve.migrate.serve.model_config import (
    LABELS,
    ConfigPlan,
    adapted_config,
    config_text,
    new_config,
    read_config,
)
from npuserve.migrate.serve.shapes import fitted

GOLDEN = "golden.npz"
GOLDEN_SAMPLES = 8
WARMUP = "single"
_FILES = {"ascend": "model.om", "onnxruntime": "model.onnx"}


@dataclass(frozen=True, slots=True)
class Gears:
    """What was compiled. batches, lengths: empty if the axis does not vary. count: of gears."""

    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """What the folder is made of.

    compiled: the OM or ONNX file. gears: None for an ONNX model. graph: the ONNX, for names and types.
    samples, answers: of the baseline, in the same order. is_linked: `compiled` is not copied.
    """

    compiled: Path
    gears: Gears | None
    graph: Path
    labels: Sequence[str]
    samples: Sequence[Tensors]
    answers: Sequence[Tensors]
    is_linked: bool = False


def write_model(settings: Settings, parts: ModelParts, repository: Path) -> ModelConfig:
    """Write `repository/NAME` and return its config. Raises MigrationError."""
    serve = settings.serve
    folder = repository / settings.source.name
    version = folder / str(serve.version)
    version.mkdir(parents=True)
    config = _config(settings, parts)
    if serve.config is not None:
        _copy_named(serve.config.parent, folder, config)
    elif any(output.label_filename for output in config.output):
        (folder / LABELS).write_text("".join(f"{label}\n" for label in parts.labels), encoding="utf-8")
    if parts.samples and not config.model_warmup:
        _add_warmup(config, parts.samples[0], folder / "warmup")
    _add_golden_limits(config, settings, parts.answers)
    (folder / "config.pbtxt").write_text(config_text(config), encoding="utf-8")
    _place(parts, version / _FILES[serve.backend])
    # An old config may list none: then the file's are served.
    listed = bool(config.input and config.output)
    served = {*(tensor.name for tensor in config.input), *(tensor.name for tensor in config.output)}
    save_samples(version / GOLDEN, golden(parts.samples, parts.answers, served if listed else None))
    return config


def _add_golden_limits(config: ModelConfig, settings: Settings, answers: Sequence[Tensors]) -> None:
    """Ask of the answers at load what the comparison asked: what was near enough there is near enough here."""
    mode = served_mode(settings)
    if (cosine := least_cosine(settings.compare, mode)) != DEFAULT_MIN_COSINE:
        config.parameters[MIN_COSINE].string_value = f"{cosine:g}"
    limits = limits_of(settings.compare, mode, answers).values() if answers else ()
    if found := [each.max_abs for each in limits if each.together]:
        config.parameters[MAX_ABS_ERROR].string_value = f"{min(found):g}"


def golden(
    samples: Sequence[Tensors], answers: Sequence[Tensors], served: Collection[str] | None = None
) -> list[Tensors]:
    """Return a few samples with their answers, evenly chosen, as `input:NAME` and `output:NAME`.

    In the shapes of the model's file, which a config may reshape for clients. served: names of tensors; None: all.
    """
    pairs = list(zip(samples, answers, strict=True))
    step = max(len(pairs) / GOLDEN_SAMPLES, 1.0)
    chosen = [pairs[int(number * step)] for number in range(min(GOLDEN_SAMPLES, len(pairs)))]
    return [{**_kept("input", inputs, served), **_kept("output", outputs, served)} for inputs, outputs in chosen]


def _kept(side: str, tensors: Tensors, served: Collection[str] | None) -> Tensors:
    return {f"{side}:{name}": array for name, array in tensors.items() if served is None or name in served}


def _shapes(config: ModelConfig) -> Mapping[str, Sequence[int]]:
    batch = (-1,) if config.max_batch_size > 0 else ()
    inputs = {tensor.name: (*batch, *tensor.dims) for tensor in config.input}
    return {**inputs, **{tensor.name: (*batch, *tensor.dims) for tensor in config.output}}


def read_gears(path: Path) -> Gears:
    """Read gears.json. Raises MigrationError."""
    try:
        content = json.loads(path.read_text())
        return Gears(tuple(content["batches"]), tuple(content["lengths"]), len(content["gears"]))
    except (ValueError, KeyError, TypeError) as error:
        raise MigrationError(f"{path} does not tell batches, lengths and gears: {error!r}") from error


def longest_gear(gears: Gears | None, otherwise: int) -> int:
    """Return the tokens of the longest request that can be answered."""
    return gears.lengths[-1] if gears is not None and gears.lengths else otherwise


def _config(settings: Settings, parts: ModelParts) -> ModelConfig:
    interface = graph_interface(parts.graph)
    gears, chosen = parts.gears, settings.compile
    # One compiled shape is run as it is: its batch is no limit, but a size that every request must have.
    is_static = gears is not None and gears.count == 1
    has_parameter = gears is None and chosen.batches and chosen.lengths
    largest = max(gears.batches if gears else chosen.batches, default=chosen.max_batch)
    plan = ConfigPlan(
        name=settings.source.name,
        settings=settings.serve,
        interface=interface,
        max_batch=largest if interface.batches and not is_static else 0,
        labels=parts.labels,
        gears=gears_parameter(chosen.batches, chosen.lengths) if has_parameter else "",
        is_static=is_static,
    )
    if settings.serve.config is None:
        return new_config(plan)
    return adapted_config(read_config(settings.serve.config), plan)


def _copy_named(old: Path, folder: Path, config: ModelConfig) -> None:
    """Copy the files that an old config names: labels, warm-up data, states of sequences."""
    for output in config.output:
        if output.label_filename:
            target = folder / output.label_filename
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(old / output.label_filename, target)
    for name in ("warmup", "initial_state"):
        if (old / name).is_dir():
            shutil.copytree(old / name, folder / name)


def _add_warmup(config: ModelConfig, sample: Tensors, folder: Path) -> None:
    """Add a real request, so that the first client does not wait for what is made at first use."""
    folder.mkdir(exist_ok=True)
    shapes = _shapes(config)
    warmup = config.model_warmup.add(name=WARMUP, batch_size=1)
    declared = {tensor.name: tensor.data_type for tensor in config.input}
    for name, array in sample.items():
        dtype = next((each for each in Dtype if each.numpy == array.dtype), None)
        if dtype is None:
            config.ClearField("model_warmup")
            return
        given = warmup.inputs[name]
        given.data_type = cast(DataType, declared.get(name, DataType.Value(dtype.config_name)))
        seen = fitted(array, shapes.get(name, array.shape))
        given.dims.extend(seen.shape[1:] if config.max_batch_size > 0 else seen.shape)
        given.input_data_file = name.replace("/", "_")
        (folder / given.input_data_file).write_bytes(raw(np.asarray(array)))


def _place(parts: ModelParts, target: Path) -> None:
    """Put a model there, and the files beside it that hold its weights if they do not fit into it."""
    others = {target.parent / other.name: other for other in parts.compiled.parent.glob(f"{parts.compiled.name}.*")}
    for path, source in {target: parts.compiled, **others}.items():
        if parts.is_linked:
            path.symlink_to(os.path.relpath(source, path.parent))
        else:
            shutil.copyfile(source, path)
