"""TorchScript to ONNX, in a process of its own, and whether the graph answers at shapes that were not traced."""

import json
import subprocess
import sys
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.triton.examples import made_up

# The second is not what was traced: sizes that the trace has made constants differ there.
_LENGTHS = (12, 7)
_SECONDS = 600.0


def trace_to_onnx(script: Path, config: ModelConfig, opset: int, folder: Path) -> Path:
    """Write `folder/model.onnx`, with the config's names, and return it. Raises MigrationError."""
    if not (config.input and config.output):
        raise MigrationError("a TorchScript file does not tell its inputs: the config must list input and output")
    folder.mkdir(parents=True, exist_ok=True)
    save_samples(folder / "examples.npz", made_up(config, _LENGTHS))
    batch = ["batch"] if config.max_batch_size > 0 else []
    job = {
        "script": str(script),
        "inputs": [tensor.name for tensor in config.input],
        "outputs": [tensor.name for tensor in config.output],
        "axes": {
            tensor.name: [*batch, *("length" if dim == -1 else dim for dim in tensor.dims)]
            for side in (config.input, config.output)
            for tensor in side
        },
        "opset": opset,
        "folder": str(folder),
    }
    (folder / "job.json").write_text(json.dumps(job))
    log = folder / "trace.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "npuserve.migrate.triton.torchscript_child", str(folder / "job.json")]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise MigrationError(f"tracing took longer than {_SECONDS:.0f} s") from error
    reason = folder / "reason.txt"
    if reason.exists():
        raise MigrationError(reason.read_text(encoding="utf-8"), f"read {log}")
    if done.returncode != 0:
        raise MigrationError(f"PyTorch ended with code {done.returncode} while it traced", f"read {log}")
    return folder / "model.onnx"
