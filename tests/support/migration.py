"""Stages that only pretend, for tests of the chain and the report, and figures as real ones have."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.settings import Settings, SourceSettings
from npuserve.migrate.chain.settings_file import Migration
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.stages import StagePlace

RUNS = "runs.log"
"""In the work folder: which stages have started, a line each."""

Behaviour = Callable[[Workspace, Path, Tell], Result]

BEHAVIOURS: dict[str, Behaviour] = {}
"""What a pretended stage does instead of passing, by folder."""
FINGERPRINTS: dict[str, str] = {}


class Pretended:
    """Writes one artifact and passes, or does as it is told."""

    folder = ""
    title = "Pretend"

    def fingerprint(self, workspace: Workspace) -> str:
        return FINGERPRINTS.get(self.folder, "same")

    def run(self, workspace: Workspace, folder: Path, tell: Tell) -> Result:
        with (workspace.work / RUNS).open("a") as file:
            file.write(f"{self.folder}\n")
        tell("pretending")
        return BEHAVIOURS.get(self.folder, passing)(workspace, folder, tell)


class Export(Pretended):
    folder = "S1_export"


class Compile(Pretended):
    folder = "S2_compile"


class Compare(Pretended):
    folder = "S3_compare"


class Serve(Pretended):
    folder = "S4_serve"


class Prove(Pretended):
    folder = "S5_prove"


PLACES = tuple(
    StagePlace(command=kind.__name__.lower(), folder=kind.folder, module=__name__, class_name=kind.__name__)
    for kind in (Export, Compile, Compare, Serve, Prove)
)


def passing(workspace: Workspace, folder: Path, tell: Tell) -> Result:
    (folder / "artifact.txt").write_text("whole")
    return Result(
        checks=[Check(name="cosine", value=0.99999, sense="above", limit=0.999)],
        artifacts={"artifact.txt": "a text"},
        commands=["echo whole > artifact.txt"],
    )


def failing(workspace: Workspace, folder: Path, tell: Tell) -> Result:
    (folder / "evidence.txt").write_text("layer 3")
    return Result(
        checks=[
            Check(name="cosine", value=0.5, sense="above", limit=0.999),
            Check(name="max abs error", value=1e-5, sense="below", limit=1e-3),
        ],
        artifacts={"evidence.txt": "what was found"},
        advice=["keep LayerNorm in fp32", "use --fallback-onnxruntime"],
    )


def started(work: Path) -> list[str]:
    """Return which stages have started, of all runs."""
    file = work / RUNS
    return file.read_text().split() if file.exists() else []


def settings(tmp_path: Path, **values: Any) -> Settings:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir(exist_ok=True)
    return Settings(source=SourceSettings(name="sentiment", checkpoint=checkpoint), **values)


def migration(tmp_path: Path, **values: Any) -> Migration:
    return Migration(settings=settings(tmp_path, **values), work=tmp_path / "work")


def sleeping(workspace: Workspace, folder: Path, tell: Tell) -> Result:
    """Leave half an artifact and never end."""
    (folder / "artifact.txt").write_text("half")
    (folder / "compiler.log").write_text("working")
    while True:
        tell("sleeping")
        time.sleep(0.05)


FIGURES: Mapping[str, Mapping[str, Any]] = {
    "S1_export": {
        "lengths": [[length, round(400 * math.exp(-(((length - 30) / 14) ** 2)))] for length in range(3, 76)],
        "outputs": [{"name": "logits", "cosine": 0.999999994, "max_abs": 3.1e-7, "mean_abs": 8.2e-8}],
        "rewrites": [{"rewrite": "clamp_mask", "where": "/encoder/Add_3", "reason": "-3.4e38 is -inf in fp16"}],
        "samples": 64,
        "parameters": 22713216,
        "onnx_bytes": 90_861_568,
        "versions": {"torch": "2.13.0"},
    },
    "S2_compile": {
        "operators": [
            {"operator": name, "count": count, "status": "supported", "remedy": ""}
            for name, count in (("MatMul", 48), ("Add", 75), ("LayerNormalization", 13), ("Erf", 6), ("Softmax", 6))
        ],
        "gears": [[batch, length] for batch in (1, 4, 16) for length in (32, 48, 80)],
        "padding": [
            {"lengths": lengths, "waste": waste, "cost": cost, **({"chosen": True} if len(lengths) == 3 else {})}
            for lengths, waste, cost in (
                ([80], 0.601, 1.0),
                ([40, 80], 0.312, 0.58),
                ([32, 48, 80], 0.214, 0.49),
                ([24, 40, 56, 80], 0.166, 0.46),
                ([24, 32, 40, 56, 80], 0.131, 0.44),
            )
        ],
        "om_bytes": 45_612_288,
        "compiler": "the emulator's atc",
    },
    "S3_compare": {
        "outputs": [{"name": "logits", "cosine": 0.99999812, "max_abs": 4.1e-4, "mean_abs": 6.3e-5}],
        "error_by_depth": [
            {
                "depth": place,
                "name": f"/encoder/layer.{place // 8}/{('MatMul', 'Add', 'Softmax', 'LayerNorm')[place % 4]}_{place}",
                "kind": ("MatMul", "Add", "Softmax", "LayerNormalization")[place % 4],
                "relative": 3e-2 if place == 29 else 2e-6 * (1 + place % 5) * (place + 1),
            }
            for place in range(48)
        ],
        "worst_layers": [
            {
                "name": f"/encoder/layer.{place // 8}/Add_{place}",
                "kind": "Add",
                "depth": place,
                "cosine": 1 - 1e-8 * (place + 1) ** 2,
                "max_abs": 3e-3,
                "mean_abs": 4e-7 * (place + 1),
                "relative": 1e-4 * (place + 1),
                "ulps": {"0": 900 - 10 * place, "1": 80 + 8 * place, "2": 20 + 2 * place},
                "jumps": place == 29,
            }
            for place in (29, 45, 44, 40)
        ],
        "first_bad_layer": {"name": "/encoder/layer.3/Add_29", "kind": "Add", "cosine": 0.99},
        "single_operators": [
            {
                "name": "/encoder/layer.3/Add_29",
                "kind": "Add",
                "faulty": True,
                "relative_in_model": 3e-2,
                "failure": None,
                "alone": {"cosine": 0.9999999, "max_abs": 2e-5, "relative": 2.9e-2},
            }
        ],
        "latency": [{"gear": "1×32", "p50_ms": 3.2, "p95_ms": 3.9, "p99_ms": 4.4}],
        "precisions": [
            {"precision": "fp32", "accuracy": 0.912, "cosine": 1.0, "size_bytes": 90_861_568, "p50_ms": 3.2},
            {"precision": "int8", "accuracy": 0.909, "cosine": 0.9971, "size_bytes": 23_100_416, "p50_ms": 1.9},
        ],
    },
    "S4_serve": {
        "consistency": [
            {"case": "one row", "rows": 1, "cosine": 1.0, "max_abs": 2.4e-7, "status": "ok"},
            {"case": "8 rows at once", "rows": 8, "cosine": 0.99999999, "max_abs": 4.8e-7, "status": "ok"},
        ],
        "ready_seconds": 1.93,
    },
    "S5_prove": {
        "load": [
            {"server": server, "concurrency": at, "qps": qps, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "errors": 0}
            for server, at, qps, p50, p95, p99 in (
                ("npuserve", 1, 212.4, 4.6, 5.2, 6.1),
                ("npuserve", 8, 864.9, 9.0, 11.4, 13.8),
                ("npuserve", 32, 1322.1, 23.7, 30.8, 35.2),
                ("baseline", 1, 198.0, 4.9, 5.8, 7.0),
                ("baseline", 8, 690.2, 11.2, 15.9, 19.6),
                ("baseline", 32, 911.7, 34.6, 45.1, 52.3),
            )
        ],
        "cdf": [
            {
                "server": server,
                "concurrency": concurrency,
                "points": [
                    [middle * concurrency / 32 * math.exp(0.18 * z / 10), 1 / (1 + math.exp(-0.17 * z))]
                    for z in range(-30, 41)
                ],
            }
            for concurrency in (1, 8, 32)
            for server, middle in (("npuserve", 23.7), ("baseline", 34.6))
        ],
        "memory": [
            {"server": "npuserve", "host_mb": 412.0, "device_mb": 190.5},
            {"server": "baseline", "host_mb": 688.2, "device_mb": None},
        ],
        "task": [
            {"server": "npuserve", "accuracy": 0.9115, "correct": 1823, "total": 2000},
            {"server": "baseline", "accuracy": 0.912, "correct": 1824, "total": 2000},
        ],
        "consistency": [{"server": "npuserve", "cosine": 0.9999981, "max_abs": 4.1e-4, "argmax_agreement": 0.9995}],
    },
}
"""As real stages have them, by folder."""


def with_figures(folder_name: str) -> Behaviour:
    """Return the behaviour of a stage that passes and has figures."""

    def run(workspace: Workspace, folder: Path, tell: Tell) -> Result:
        (folder / "artifact.bin").write_bytes(b"x")
        return Result(
            checks=[Check(name="cosine", value=0.99999812, sense="above", limit=0.999)],
            artifacts={"artifact.bin": "what the stage makes"},
            commands=[f"npuserve migrate {folder_name.partition('_')[2]} --config migration.toml"],
            notes=["The labelled set has 2000 rows."],
            figures=FIGURES[folder_name],
            seconds=41.5,
            foreign_seconds=39.0,
        )

    return run
