"""ONNX to OM, and the model repository that `npuserve serve` takes.

For each model: `<repository>/<name>/config.pbtxt`, `labels.txt`, `1/model.om`. The OM is compiled for every pair of a
batch size and a sequence length (its gears), with the vendor's flags through `npuserve atc`.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands import CommandError, compiler_version, npuserve
from corpora import MissingPackageError
from export import Exported, ExportError, export
from progress import Progress
from stamps import fingerprint, is_current, mark_current

MODELS = ("sentiment", "ner", "bert_small")
MAX_GEARS = 100
SOC_VERSION = "Ascend910B3"


class ConvertError(RuntimeError):
    """The compiler refused a model."""


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """How the models are compiled: the gears are all pairs of `batches` and `lengths`; precision as `atc` names it."""

    batches: tuple[int, ...] = (1, 4, 16)
    lengths: tuple[int, ...] = (16, 32, 64)
    precision: str = "must_keep_origin_dtype"
    max_queue_delay_us: int = 500

    def __post_init__(self) -> None:
        count = len(self.batches) * len(self.lengths)
        if not 2 <= count <= MAX_GEARS:
            raise ValueError(f"{count} gears: the compiler takes 2 to {MAX_GEARS} (batches × lengths)")
        if min(*self.batches, *self.lengths) < 1 or max(self.lengths) > 512:
            raise ValueError("batches must be at least 1, lengths 1 to 512")

    @property
    def dynamic_dims(self) -> str:
        """The gears as `--dynamic_dims` takes them: one value per -1 of both inputs."""
        return ";".join(f"{b},{s},{b},{s}" for b in self.batches for s in self.lengths)


def build_repository(work: Path, repository: Path, names: Sequence[str], compilation: Compilation) -> None:
    """Export, compile and lay out the named models, whatever is not current.

    Raises ConvertError, ExportError, MissingPackageError, CommandError.
    """
    for name in names:
        write_model(repository, export(name, work), compilation)


def write_model(repository: Path, exported: Exported, compilation: Compilation) -> None:
    """Compile one exported model into the repository. Raises ConvertError."""
    folder = repository / exported.name
    target = folder / "1" / "model.om"
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("".join(label + "\n" for label in exported.labels))
    (folder / "config.pbtxt").write_text(config_text(exported, compilation))
    key = fingerprint(exported.path, repr(compilation), compiler_version())
    if is_current(target, key):
        return
    with Progress(f"{exported.name}: ONNX to OM ({compilation.precision})", 1) as bar:
        compile_model(exported.path, target, compilation)
        bar.advance(note=f"{target.stat().st_size / 1e6:.0f} MB")
    mark_current(target, key)


def compile_model(source: Path, target: Path, compilation: Compilation) -> None:
    """Run the compiler on an ONNX file. Raises ConvertError with the compiler's own words."""
    command = [
        *npuserve(),
        "atc",
        "--framework=5",
        f"--model={source}",
        f"--output={target.with_suffix('')}",
        f"--soc_version={SOC_VERSION}",
        "--input_format=ND",
        "--input_shape=input_ids:-1,-1;attention_mask:-1,-1",
        f"--dynamic_dims={compilation.dynamic_dims}",
        f"--precision_mode={compilation.precision}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConvertError(f"atc failed ({done.returncode}) on {source}:\n{done.stdout}{done.stderr}".rstrip())


def config_text(exported: Exported, compilation: Compilation) -> str:
    """Return the model's config.pbtxt."""
    inputs = ",\n".join(
        f'  {{ name: "{name}" data_type: TYPE_INT64 dims: [ -1 ] }}' for name in ("input_ids", "attention_mask")
    )
    dims = f"-1, {len(exported.labels)}" if exported.per_token else f"{len(exported.labels)}"
    return f"""\
name: "{exported.name}"
backend: "ascend"
max_batch_size: {max(compilation.batches)}
input [
{inputs}
]
output [
  {{ name: "logits" data_type: TYPE_FP32 dims: [ {dims} ] label_filename: "labels.txt" }}
]
dynamic_batching {{ max_queue_delay_microseconds: {compilation.max_queue_delay_us} }}
"""


def main() -> int:
    """Build the repository that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["sentiment", "ner"])
    parser.add_argument(
        "--work", type=Path, default=Path("build/demo"), help="encoder and ONNX files; default build/demo"
    )
    parser.add_argument("--repository", type=Path, help="default: WORK/repository")
    parser.add_argument("--batches", type=_sizes, default=Compilation.batches, help="batch sizes, as 1,4,16")
    parser.add_argument("--lengths", type=_sizes, default=Compilation.lengths, help="sequence lengths, as 16,32,64")
    parser.add_argument("--precision", default=Compilation.precision, help="atc's --precision_mode")
    parser.add_argument("--max-queue-delay-us", type=int, default=Compilation.max_queue_delay_us)
    arguments = parser.parse_args()
    repository: Path = arguments.repository or arguments.work / "repository"
    try:
        compilation = Compilation(
            batches=arguments.batches,
            lengths=arguments.lengths,
            precision=arguments.precision,
            max_queue_delay_us=arguments.max_queue_delay_us,
        )
        build_repository(arguments.work, repository, arguments.models, compilation)
    except (CommandError, ConvertError, ExportError, MissingPackageError, ValueError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    print(repository)
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(part) for part in text.split(",")}))


if __name__ == "__main__":
    sys.exit(main())
