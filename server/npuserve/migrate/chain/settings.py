"""What `migration.toml` says: frozen parts that check themselves, one a stage, with the defaults of the gates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from npuserve.migrate.chain.quantize_settings import QuantizeSettings
from npuserve.migrate.chain.ranges import check_one_of, check_range
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.options import MAX_BATCH, MAX_GEARS

TASKS = ("classification", "token_classification")
BACKENDS = ("ascend", "onnxruntime")
LANGUAGES = ("en", "zh")

# Of the server: what a name of a model may not hold, as it is a folder and a part of URLs.
_NOT_IN_NAMES = set("/\\:?#% \t\n")


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

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith(".") or set(self.name) & _NOT_IN_NAMES:
            raise MigrationError(f"source.name must be a model's name, as `sentiment`, got '{self.name}'")
        sources = {"checkpoint": self.checkpoint, "module": self.module, "onnx": self.onnx}
        given = [name for name, value in sources.items() if value]
        if len(given) != 1:
            raise MigrationError(
                "source needs exactly one of checkpoint, module and onnx, "
                + (f"got {' and '.join(given)}" if given else "got none")
            )
        check_one_of("source.task", self.task, TASKS)
        if self.module and ":" not in self.module:
            raise MigrationError(f"source.module must be `package.module:function`, got '{self.module}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """S1. opset: of the graph. samples: rows of the baseline and of the calibration sample. max_length: tokens.

    skip_rewrites: names of those that are not applied. decompose: operators to spell out although the opset has them,
    of LayerNormalization and Gelu.
    """

    opset: int = 18
    samples: int = 64
    max_length: int = 128
    min_cosine: float = 0.9999
    skip_rewrites: tuple[str, ...] = ()
    decompose: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_range("export.opset", self.opset, 12, 25)
        check_range("export.samples", self.samples, 1, 100_000)
        check_range("export.max_length", self.max_length, 1, 1_000_000)
        check_range("export.min_cosine", self.min_cosine, -1, 1)


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

    def __post_init__(self) -> None:
        if not self.soc_version:
            raise MigrationError("compile.soc_version must name a chip, as Ascend910B3, got ''")
        if not self.precision:
            raise MigrationError("compile.precision must be a precision mode of atc or int8, got ''")
        _check_sizes("compile.batches", self.batches)
        _check_sizes("compile.lengths", self.lengths)
        check_range("compile.max_batch", self.max_batch, 1, MAX_BATCH)
        check_range("compile.max_gears", self.max_gears, 1, MAX_GEARS)
        # The room that knows atc reads these settings itself.
        from npuserve.migrate.compile.atc_options import check_settings

        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """S3. The limits are of the logits, OM against ONNX Runtime; None: what the precision can give.

    dump: a folder of AscendCL's dump files, of the OM run on `layer_inputs.npz`; None: layers become outputs.
    """

    min_cosine: float | None = None
    max_abs_error: float | None = None
    mean_abs_error: float | None = None
    worst_layers: int = 10
    dump: Path | None = None

    def __post_init__(self) -> None:
        if self.min_cosine is not None:
            check_range("compare.min_cosine", self.min_cosine, -1, 1)
        for name in ("max_abs_error", "mean_abs_error"):
            if (limit := getattr(self, name)) is not None:
                check_range(f"compare.{name}", limit, 0)
        check_range("compare.worst_layers", self.worst_layers, 1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """S4. version: of the model in the repository. backend: `ascend`, or `onnxruntime`, the fallback.

    config: a config.pbtxt to begin with; None: one is made. max_batch_difference: of a batched
    answer from a single one; None: as far as one answer may be off.
    """

    version: int = 1
    backend: str = "ascend"
    max_queue_delay_us: int = 500
    instances: int = 1
    config: Path | None = None
    max_batch_difference: float | None = None

    def __post_init__(self) -> None:
        if self.max_batch_difference is not None:
            check_range("serve.max_batch_difference", self.max_batch_difference, 0)
        check_range("serve.version", self.version, 1)
        check_one_of("serve.backend", self.backend, BACKENDS)
        check_range("serve.max_queue_delay_us", self.max_queue_delay_us, 0)
        check_range("serve.instances", self.instances, 1, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveSettings:
    """S5. baseline: `HOST:PORT` of the old server; empty: ONNX Runtime served here. accuracy drop in points.

    baseline_model: its name there; empty: the same. rounds: each server is measured so often, in turns, up to
    four times that where a limit is missed. max_rows: of the labelled set.
    """

    baseline: str = ""
    baseline_model: str = ""
    rounds: int = 3
    max_rows: int = 1000
    concurrencies: tuple[int, ...] = (1, 8, 32)
    seconds: float = 5.0
    max_accuracy_drop: float = 0.5
    min_qps_ratio: float = 0.8
    max_p99_ratio: float = 1.2

    def __post_init__(self) -> None:
        _check_baseline(self.baseline)
        _check_sizes("prove.concurrencies", self.concurrencies)
        if not self.concurrencies:
            raise MigrationError("prove.concurrencies must name at least one concurrency")
        check_range("prove.rounds", self.rounds, 1, 100)
        check_range("prove.max_rows", self.max_rows, 1)
        check_range("prove.seconds", self.seconds, 0.05, 86_400)
        check_range("prove.max_accuracy_drop", self.max_accuracy_drop, 0, 100)
        check_range("prove.min_qps_ratio", self.min_qps_ratio, 0)
        check_range("prove.max_p99_ratio", self.max_p99_ratio, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole migration."""

    source: SourceSettings
    export: ExportSettings = field(default_factory=ExportSettings)
    compile: CompileSettings = field(default_factory=CompileSettings)
    quantize: QuantizeSettings = field(default_factory=QuantizeSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    prove: ProveSettings = field(default_factory=ProveSettings)
    language: str = "en"

    def __post_init__(self) -> None:
        check_one_of("language", self.language, LANGUAGES)


def _check_sizes(name: str, values: Sequence[int]) -> None:
    for value in values:
        check_range(name, value, 1)
    if len(set(values)) < len(values):
        raise MigrationError(f"{name} names a value twice: {', '.join(map(str, values))}")


def _check_baseline(address: str) -> None:
    host, _, port = address.rpartition(":")
    if address and not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise MigrationError(f"prove.baseline must be HOST:PORT of the old server's gRPC, got '{address}'")
