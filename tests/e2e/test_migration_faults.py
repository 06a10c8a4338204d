"""What cannot be migrated, by the real command: a clear sentence, an exit code, and nothing that looks finished."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support.models import FLOAT, graph_input, onnx_model
from support.rewriting import graph_of

# A file that is whole is small; of the weights below there is no room for two copies.
WEIGHTS_BYTES = 2 << 20


@dataclass(frozen=True)
class Ended:
    """A run of the command. left: what is in the work folder now, of stages."""

    code: int
    errors: str
    left: dict[str, list[str]] = field(default_factory=dict)


Migrate = Callable[..., Ended]


def stages_in(work: Path) -> dict[str, list[str]]:
    """Return the stages' folders and what is in them; the report is told of otherwise."""
    if not work.exists():
        return {}
    folders = [path for path in work.iterdir() if path.is_dir() and path.name != "report"]
    return {path.name: sorted(each.name for each in path.iterdir()) for path in sorted(folders)}


@pytest.fixture
def migrate(tmp_path: Path) -> Migrate:
    def run(*arguments: object, work: Path | None = None, **environment: str) -> Ended:
        folder = work or tmp_path / "work"
        done = subprocess.run(
            [sys.executable, "-m", "npuserve.cli.main", "migrate", *map(str, arguments), "--work", str(folder)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stderr, stages_in(folder))

    return run


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A product with a matrix, as an ONNX file, and `rows.npz` beside it."""
    size = int((WEIGHTS_BYTES / 4) ** 0.5)
    weights = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    sides = [graph_input("x", FLOAT, ["batch", size])], [graph_input("y", FLOAT, ["batch", size])]
    onnx.save(onnx_model([helper.make_node("MatMul", ["x", "w"], ["y"])], *sides, {"w": weights}), tmp_path / "m.onnx")
    np.savez(tmp_path / "rows.npz", x=np.ones((2, size), np.float32))
    return tmp_path / "m.onnx"


def with_operator(path: Path, kind: str, domain: str) -> Path:
    """A graph of one operator, as an ONNX file, with rows beside it."""
    node = helper.make_node(kind, ["x"], ["y"], domain=domain, name="odd")
    model = graph_of([node], {"x": (FLOAT, ["batch", 4])}, {"y": (FLOAT, ["batch", 4])})
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    onnx.save(model, path)
    np.savez(path.with_name("rows.npz"), x=np.ones((2, 4), np.float32))
    return path


@pytest.mark.parametrize(
    ("kind", "architecture"), [("t5", "T5ForConditionalGeneration"), ("gpt2", "GPT2ForSequenceClassification")]
)
def test_a_checkpoint_of_the_wrong_architecture(migrate: Migrate, tmp_path: Path, kind: str, architecture: str) -> None:
    (tmp_path / kind).mkdir()
    content = {"model_type": kind, "architectures": [architecture], "vocab_size": 32128, "d_model": 512}
    (tmp_path / kind / "config.json").write_text(json.dumps(content))
    (tmp_path / kind / "model.safetensors").write_bytes(b"")
    ended = migrate("--checkpoint", tmp_path / kind)
    assert ended.code == 2
    assert f"is of the wrong architecture: {kind} ({architecture}) is not of the BERT family" in ended.errors
    assert "try: export another architecture as a module" in ended.errors
    assert ended.left == {}


def test_an_operator_that_nobody_knows(migrate: Migrate, tmp_path: Path) -> None:
    path = with_operator(tmp_path / "odd.onnx", "Enchant", "org.example")
    ended = migrate("--onnx", path, "--inputs", tmp_path / "rows.npz")
    assert ended.code == 2
    assert "the graph has an operator that ONNX Runtime does not know, org.example::Enchant" in ended.errors
    assert "try: export the model with standard operators in its place" in ended.errors
    assert ended.left == {}


def test_an_operator_that_the_chip_does_not_have(migrate: Migrate, tmp_path: Path) -> None:
    path = with_operator(tmp_path / "odd.onnx", "QuickGelu", "com.microsoft")
    ended = migrate("--onnx", path, "--inputs", tmp_path / "rows.npz")
    assert ended.code == 1
    assert "the gate failed: unsupported operators is 1, must be equal to 0" in ended.errors
    assert "try: com.microsoft::QuickGelu: not among the ONNX operators of CANN" in ended.errors
    assert set(ended.left) == {"S1_export", "S2_compile"}
    assert "model.om" not in ended.left["S2_compile"]
    again = migrate("--onnx", path, "--inputs", tmp_path / "rows.npz")
    assert (again.code, again.left) == (ended.code, ended.left)


@pytest.mark.parametrize(
    ("home", "sentence"),
    [("cann", "atc"), ("none", "none")],
    ids=["a CANN without a compiler", "a CANN that is not there"],
)
def test_a_missing_tool(migrate: Migrate, graph: Path, tmp_path: Path, home: str, sentence: str) -> None:
    (tmp_path / "cann" / "opp").mkdir(parents=True)
    ended = migrate("--onnx", graph, "--inputs", tmp_path / "rows.npz", ASCEND_HOME_PATH=str(tmp_path / home))
    assert ended.code == 3
    assert "npuserve migrate: error: compile: " in ended.errors
    assert sentence in ended.errors
    assert set(ended.left) == {"S1_export"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--presicion", "force_fp16"], "--presicion"),
        (["--precision", "force_fp17"], "force_fp17"),
        (["--soc-version", "Ascend911Z"], "'Ascend911Z', which names no chip"),
        (["--config", "extra.toml"], "--op_select_implmod"),
    ],
)
def test_a_wrong_flag(migrate: Migrate, graph: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "extra.toml").write_text('[compile]\nextra = ["--op_select_implmod=high_precision"]\n')
    ended = migrate("--onnx", graph, "--inputs", tmp_path / "rows.npz", *arguments)
    assert ended.code == 2
    assert sentence in ended.errors
    assert ended.left == {}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many bytes."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = []

    def mount(size: int) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], capture_output=True)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.decode()}")
        mounted.append(path)
        return path

    yield mount
    for each in mounted:
        subprocess.run(["umount", str(each)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize(
    ("size", "stage", "kept"),
    [(WEIGHTS_BYTES // 2, "export", []), (WEIGHTS_BYTES * 3 // 2, "compile", ["S1_export"])],
)
def test_a_full_disk(
    migrate: Migrate, graph: Path, tmp_path: Path, disk: Callable[[int], Path], size: int, stage: str, kept: list[str]
) -> None:
    work = disk(size) / "work"
    ended = migrate("--onnx", graph, "--inputs", tmp_path / "rows.npz", work=work)
    assert ended.code == 3
    assert f"npuserve migrate: error: {stage}: " in ended.errors
    assert "there is no room" in ended.errors or "the disk is full" in ended.errors
    assert [name for name in ended.left if not name.endswith(".failed")] == kept
    assert all(
        name.endswith((".log", "command.txt")) for each in ended.left if each not in kept for name in ended.left[each]
    )
