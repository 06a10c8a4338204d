"""What `migration.toml` says: frozen parts that check themselves, one a stage, with the defaults of the gates."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What is migrated. Exactly one of checkpoint, module and onnx.

    name: of the model in the new repository. checkpoint: a folder of a Hugging Face model. module: an import path
    `package.module:function` that returns a torch.nn.Module in evaluation mode. python_path: folders to import it from.
    task: `classification` or `token_classification`. labels: in the order of the logits; empty: the checkpoint's.
    tokenizer: a tokenizer.json; None: the checkpoint's. dataset: JSON lines with `text` (or `words`) and `label` (or
    `labels`), the labelled set; inputs: an npz of example inputs instead of a dataset.
    """

    name: str
    checkpoint: Path | None = None
    module: str = ""
    onnx: Path | None = None
    python_path: tuple[Path, ...] = ()
    task: str = "classification"
    labels: tuple[str, ...] = ()
    tokenizer: Path | None = None
    dataset: Path | None = None
    inputs: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """S1. opset: of the graph. samples: rows of the baseline and of the calibration sample. max_length: tokens."""

    opset: int = 18
    samples: int = 64
    max_length: int = 128
    min_cosine: float = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileSettings:
    """S2. Options of `atc`; lengths and batches empty: from the plan. extra: more of the vendor's flags, as they are.

    precision: `atc`'s --precision_mode, or `int8` for post-training quantization.
    """

    soc_version: str = "Ascend910B3"
    precision: str = "must_keep_origin_dtype"
    batches: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    max_batch: int = 16
    max_gears: int = 12
    mix_list: Path | None = None
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """S3. The limits are of the logits, OM against ONNX Runtime."""

    min_cosine: float = 0.999
    max_abs_error: float = 1e-3
    mean_abs_error: float = 1e-4
    worst_layers: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """S4. version: of the model in the repository. backend: `ascend`, or `onnxruntime`, the fallback."""

    version: int = 1
    backend: str = "ascend"
    max_queue_delay_us: int = 500
    instances: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveSettings:
    """S5. baseline: `HOST:PORT` of the old server; empty: ONNX Runtime served here. accuracy drop in points."""

    baseline: str = ""
    concurrencies: tuple[int, ...] = (1, 8, 32)
    seconds: float = 5.0
    max_accuracy_drop: float = 0.5
    min_qps_ratio: float = 0.8
    max_p99_ratio: float = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole migration."""

    source: SourceSettings
    export: ExportSettings = field(default_factory=ExportSettings)
    compile: CompileSettings = field(default_factory=CompileSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    prove: ProveSettings = field(default_factory=ProveSettings)
    language: str = "en"
