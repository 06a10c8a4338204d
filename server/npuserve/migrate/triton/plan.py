"""Decides what becomes of each model; looks at the repository, changes nothing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.ensemble import validate_ensemble
from npuserve.config.model_config import read_model_config
from npuserve.config.platforms import identify_backend
from npuserve.core.errors import ServeError
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.triton.obstacles import not_compilable, python_notes, refusals, without_effect

Action = Literal["convert", "copy", "leave"]
Source = Literal["", "onnx", "torchscript"]

CONFIG = "config.pbtxt"
_NO_VERSIONS = frozenset({"configs", "initial_state", "warmup"})
_SOURCES: Mapping[str, Source] = {"onnxruntime": "onnx", "pytorch": "torchscript"}
_AS_THEY_ARE = frozenset({"ascend", "tokenizer", "identity"})
_WHY_NOT = {
    "tensorrt": "a TensorRT plan is machine code for NVIDIA GPUs: bring the ONNX file that it was built from",
    "tensorflow": "TensorFlow models are not read: export it to ONNX (tf2onnx)",
    "openvino": "OpenVINO models are not read: bring the ONNX file that it was made from",
    "dali": "DALI pipelines run on NVIDIA GPUs: write the preprocessing as a python model",
    "vllm": "generating language models are not served",
    "tensorrtllm": "generating language models are not served",
    "fil": "forests are not compiled: export it to ONNX (hummingbird, skl2onnx) or serve it as a python model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What is to become of one model.

    config: as it is written, with backend and model file found; None if it cannot be read. source: what is converted.
    versions: to be carried. reason: why it is not converted, or not carried. notes: what will be otherwise.
    """

    name: str
    path: Path
    action: Action
    config: ModelConfig | None = None
    source: Source = ""
    versions: tuple[int, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)

    def model_file(self, version: int) -> Path:
        """Return the file of a version. REQUIRES: the config was read."""
        assert self.config is not None
        return self.path / str(version) / self.config.default_model_filename


def plan_migration(repository: Path) -> list[Planned]:
    """Decide for every model of a repository, by name. Raises MigrationError if it is none."""
    try:
        folders = sorted(path for path in repository.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise MigrationError(f"cannot read the repository {repository}: {error.strerror or error}") from error
    if not folders:
        raise MigrationError(
            f"{repository} has no models: a model repository has a folder a model, with config.pbtxt and 1/ in it"
        )
    return with_steps([_planned(path) for path in folders])


def with_steps(planned: Sequence[Planned]) -> list[Planned]:
    """Leave the ensembles that a step is missing for, and those that need these."""
    found = {each.name: each for each in planned}
    while True:
        carried = {name for name, each in found.items() if each.action != "leave"}
        broken = [each for each in found.values() if each.action != "leave" and _missing(each, carried)]
        if not broken:
            return [found[each.name] for each in planned]
        for each in broken:
            missing = ", ".join(f"'{name}'" for name in _missing(each, carried))
            found[each.name] = replace(
                each, action="leave", reason=f"it needs the model {missing}, which is not carried"
            )


def _missing(planned: Planned, carried: Collection[str]) -> list[str]:
    if planned.config is None:
        return []
    steps = dict.fromkeys(step.model_name for step in planned.config.ensemble_scheduling.step)
    return [name for name in steps if name not in carried]


def _planned(path: Path) -> Planned:
    try:
        return _decided(path, _config(path))
    except ServeError as error:
        return Planned(name=path.name, path=path, action="leave", reason=error.message)


def _config(path: Path) -> ModelConfig:
    """Return a model's config with backend and model file. Raises ServeError."""
    config = read_model_config(path / CONFIG) if (path / CONFIG).exists() else ModelConfig()
    versions = _versions(path)
    files = [each.name for each in (path / str(versions[0])).iterdir()] if versions else []
    # Triton has had these by platform alone; of such only the name is known here.
    if config.platform.startswith("tensorflow_") and not config.backend:
        config.backend, config.platform = "tensorflow", ""
    identify_backend(config, files)
    return config


def _decided(path: Path, config: ModelConfig) -> Planned:
    versions, skipped = _served(config, _versions(path))
    notes = [f"version {version} is not served by version_policy, and left behind" for version in skipped]
    if (path / "configs").is_dir():
        notes.append("configs/ is left behind: it is for the old backend")
    planned = Planned(name=path.name, path=path, action="leave", config=config, versions=versions)
    if config.name and config.name != path.name:
        return replace(planned, reason=f"its config names it '{config.name}', its folder '{path.name}'")
    if not versions:
        return replace(planned, reason="it has no version that its version_policy serves")
    if reasons := list(refusals(config)):
        return replace(planned, reason="; ".join(reasons))
    if config.platform == "ensemble":
        validate_ensemble(config)
        return _copied(planned, ())
    if config.backend == "python":
        return _copied(planned, python_notes(config))
    if config.backend in _AS_THEY_ARE:
        return replace(
            planned, action="copy", versions=_versions(path), notes=tuple(without_effect(config, is_converted=False))
        )
    source = _SOURCES.get(config.backend)
    if source is None:
        return replace(planned, reason=_WHY_NOT.get(config.backend, f"the backend '{config.backend}' is not served"))
    for version in versions:
        if not planned.model_file(version).exists():
            return replace(planned, reason=f"version {version} has no {config.default_model_filename}")
    return _compiled(replace(planned, source=source, notes=tuple(notes)))


def _compiled(planned: Planned) -> Planned:
    """Decide of a model with a graph: convert it, or keep it on ONNX Runtime if only that can run it."""
    assert planned.config is not None
    reasons = list(not_compilable(planned.config))
    if not reasons:
        notes = (*planned.notes, *without_effect(planned.config, is_converted=True))
        return replace(planned, action="convert", notes=notes)
    sentence = f"an OM model cannot have {', '.join(reasons)}"
    if planned.source == "onnx":
        kept = _copied(planned, without_effect(planned.config, is_converted=False))
        return replace(kept, reason=f"{sentence}: it stays on ONNX Runtime")
    return replace(planned, reason=sentence)


def _copied(planned: Planned, notes: Iterable[str]) -> Planned:
    """Return the plan for a model that stays as it is, with every version that there is."""
    return replace(planned, action="copy", versions=_versions(planned.path), notes=tuple(notes))


def _versions(path: Path) -> tuple[int, ...]:
    names = [each.name for each in path.iterdir() if each.is_dir() and each.name not in _NO_VERSIONS]
    return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit() and not name.startswith("0")))


def _served(config: ModelConfig, versions: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the versions that the policy serves, and the others."""
    policy = config.version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            served = versions
        case "specific":
            served = tuple(version for version in versions if version in policy.specific.versions)
        case _:
            served = versions[-max(policy.latest.num_versions, 1) :]
    return served, tuple(version for version in versions if version not in served)
