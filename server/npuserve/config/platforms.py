"""Which backend runs a model, found from its config or its files."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePath

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import invalid


@dataclass(frozen=True, slots=True)
class Platform:
    """A backend, the platform name that means the same in a config, and the model file it expects by default."""

    backend: str
    platform: str
    filename: str


ASCEND = Platform("ascend", "ascend_om", "model.om")
ENSEMBLE = Platform("", "ensemble", "")
PLATFORMS = (
    ASCEND,
    Platform("onnxruntime", "onnxruntime_onnx", "model.onnx"),
    Platform("python", "", "model.py"),
    Platform("tokenizer", "", "tokenizer.json"),
    Platform("pytorch", "pytorch_libtorch", "model.pt"),
    Platform("tensorrt", "tensorrt_plan", "model.plan"),
    Platform("openvino", "", "model.xml"),
    ENSEMBLE,
)


def identify_backend(config: ModelConfig, files: Collection[str]) -> None:
    """Fill `backend`, `platform` and `default_model_filename` in place, from each other or else from `files`.

    files: names in the model's first version directory. Raises ServeError: INVALID_ARGUMENT if nothing says what runs
    the model, or `backend` and `platform` disagree.
    """
    known = _from_config(config) if config.backend or config.platform else _from_files(config, files)
    if known is None:
        return
    config.backend = known.backend
    config.platform = known.platform
    if not config.default_model_filename:
        config.default_model_filename = known.filename


def _from_config(config: ModelConfig) -> Platform | None:
    """Return the platform that the config names; None for a backend of which only the name is known."""
    if not config.backend:
        known = next((known for known in PLATFORMS if known.platform == config.platform), None)
        if known is None:
            raise invalid(f"unexpected platform type '{config.platform}' for {config.name}")
        return known
    known = next((known for known in PLATFORMS if known.backend == config.backend), None)
    if config.platform == ENSEMBLE.platform:
        raise invalid(f"Ensemble model '{config.name}' must have platform type 'ensemble' and empty backend type")
    if config.platform and (known is None or known.platform != config.platform):
        raise invalid(f"unexpected 'platform' and 'backend' pair, got:{config.platform}, {config.backend}")
    return known


def _from_files(config: ModelConfig, files: Collection[str]) -> Platform:
    """Find the one platform whose model file is there, by the name that the config gives or by the default name."""
    suffix = PurePath(config.default_model_filename).suffix
    for known in PLATFORMS:
        if known.filename in files or (suffix and PurePath(known.filename).suffix == suffix):
            return known
    raise invalid(
        f"Invalid model name: Could not determine backend for model '{config.name}' with no backend in model "
        "configuration. Expected model name of the form 'model.<backend_name>'."
    )
