"""The servers that are compared: how each is configured and started, and what its clients send.

All run the same ONNX file by the same ONNX Runtime with the same threads, one instance, at most BATCH rows a batch.
"""

import os
import shutil
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.fetch import PEERS, run
from benchmarks.frontend.peers import LITSERVE
from benchmarks.frontend.servers import Launch, answers_health, free_port
from benchmarks.parity.peers import npuserve_peer, triton_peer
from benchmarks.scheduling.clients import MODEL, Classifier, litserve_classifier, triton_classifier
from benchmarks.scheduling.sentences import LONGEST

BATCH = 8
THREADS = os.cpu_count() or 1
# Finer where most sentences are: what is padded is waste.
LENGTHS = ",".join(str(length) for length in (*range(8, 64, 4), *range(64, LONGEST + 1, 8)))
# How long LitServe waits for a batch to fill: about an execution of one sentence.
LITSERVE_WAIT_SECONDS = 0.005

_CONFIG = """\
name: "{model}"
backend: "{backend}"
max_batch_size: {batch}
input [ {{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }} ]
input [ {{ name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }} ]
output [ {{ name: "logits" data_type: TYPE_FP32 dims: [ 3 ] }} ]
instance_group {{ count: 1 kind: KIND_CPU }}
parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}
"""
_BATCHING = "dynamic_batching { }\n"
_GEARS = 'parameters {{ key: "gears" value {{ string_value: "1-{batch} x {lengths}" }} }}\n'


@dataclass(frozen=True)
class Arm:
    """One server and its clients. is_padded: whether every sentence is run at the longest length."""

    name: str
    launch: Launch
    is_padded: bool
    is_peer: bool
    pad_to: int = 0

    def connect(self) -> AbstractAsyncContextManager[Classifier]:
        """Return a client to be entered."""
        if self.name.startswith("litserve"):
            return litserve_classifier(self.launch.port)
        return triton_classifier(f"127.0.0.1:{self.launch.port}", self.pad_to)


def arms(model: Path, work: Path) -> list[Arm]:
    """Write what each server needs below `work` and return the arms, ours first."""
    write = partial(_write_repository, model)
    buckets = write(work / "buckets", "onnxruntime", _BATCHING + _GEARS.format(batch=BATCH, lengths=LENGTHS))
    one_gear = write(work / "one_gear", "onnxruntime", _BATCHING + _GEARS.format(batch=BATCH, lengths=LONGEST))
    batching = write(work / "triton_batching", "python", _BATCHING)
    unbatched = write(work / "triton_unbatched", "python", "")
    return [
        Arm("buckets", _named("buckets", npuserve_peer(buckets).launch), is_padded=False, is_peer=False),
        Arm("one_gear", _named("one_gear", npuserve_peer(one_gear).launch), is_padded=True, is_peer=False),
        Arm(
            "triton_padded",
            _named("triton_padded", triton_peer(batching).launch),
            is_padded=True,
            is_peer=True,
            pad_to=LONGEST,
        ),
        Arm("triton_true", _named("triton_true", triton_peer(unbatched).launch), is_padded=False, is_peer=True),
        Arm("triton_equal", _named("triton_equal", triton_peer(batching).launch), is_padded=False, is_peer=True),
        Arm("litserve", _litserve(model), is_padded=False, is_peer=True),
    ]


def _write_repository(model: Path, repository: Path, backend: str, more: str) -> Path:
    folder = repository / MODEL / "1"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, folder / "model.onnx")
    if backend == "python":
        shutil.copyfile(Path(__file__).parents[1] / "parity" / "onnx_model.py", folder / "model.py")
    config = _CONFIG.format(model=MODEL, backend=backend, batch=BATCH, threads=THREADS) + more
    (folder.parent / "config.pbtxt").write_text(config)
    return repository


def _named(name: str, launch: Launch) -> Launch:
    return Launch(name, launch.port, launch.command, launch.environment, launch.ready)


def _litserve(model: Path) -> Launch:
    port = free_port()
    program = Path(__file__).with_name("litserve_model.py")
    command: list[str | Path] = [_litserve_python(), program, str(port), model, str(THREADS), str(BATCH)]
    command.append(str(LITSERVE_WAIT_SECONDS))
    return Launch("litserve", port, command, {**os.environ}, answers_health)


def _litserve_python() -> Path:
    """Return the Python of an environment with LitServe and our version of ONNX Runtime."""
    home = PEERS / "litserve_models"
    if not (home / ".installed").exists():
        run([sys.executable, "-m", "venv", "--clear", home])
        runtime = f"onnxruntime=={version('onnxruntime')}"
        install: list[str | Path] = [home / "bin" / "python", "-m", "pip", "install", "-q"]
        run([*install, "--disable-pip-version-check", LITSERVE, "uvloop", "httptools", runtime])
        (home / ".installed").touch()
    return home / "bin" / "python"
