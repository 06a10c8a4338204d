"""The process that has PyTorch: `python -m npuserve.migrate.triton.torchscript_child JOB`."""

import json
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.migrate.chain.tensors import load_samples

_TOLERANCE = 1e-3


def main(path: Path) -> int:
    """Trace and check; what goes wrong is one sentence in `reason.txt`."""
    job = json.loads(path.read_text())
    folder = Path(job["folder"])
    try:
        _trace(job, folder)
    except ImportError as error:
        (folder / "reason.txt").write_text(f"{error}: pip install 'npuserve[convert]'", encoding="utf-8")
        return 1
    except Exception as error:  # PyTorch raises anything
        first = str(error).strip().splitlines() or [type(error).__name__]
        (folder / "reason.txt").write_text(f"it does not trace to ONNX: {first[0]}", encoding="utf-8")
        raise
    return 0


def order_of(names: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the config's names in the order of the function's: by name, by the number behind `__`, or as listed."""
    if set(names) <= set(arguments):
        return [argument for argument in arguments if argument in names]
    numbers = {name: int(found[1]) for name in names if (found := re.fullmatch(r".*__(\d+)", name))}
    if len(numbers) == len(names):
        return sorted(names, key=numbers.__getitem__)
    return list(names)


def _trace(job: Mapping[str, Any], folder: Path) -> None:
    import onnxruntime
    import torch

    load: Any = torch.jit.load
    script = load(job["script"], map_location="cpu").eval()
    arguments = [each.name for each in script.forward.schema.arguments][1:]
    inputs, outputs = order_of(job["inputs"], arguments), order_of(job["outputs"], ())
    samples = load_samples(folder / "examples.npz")
    # Two rows: a size of 1 is traced as one that never changes.
    traced = [np.repeat(samples[0][name], 2 if job["axes"][name][:1] == ["batch"] else 1, axis=0) for name in inputs]
    axes = {
        name: {axis: size for axis, size in enumerate(sizes) if isinstance(size, str)}
        for name, sizes in job["axes"].items()
    }
    target = folder / "model.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        # Remarks of the exporter on its own age.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            script,
            tuple(torch.from_numpy(each) for each in traced),
            str(target),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: found for name, found in axes.items() if found},
            dynamo=False,
            opset_version=job["opset"],
        )
        session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
        for sample in samples:
            _check(script, session, sample, inputs, outputs)


def _check(script: Any, session: Any, sample: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]) -> None:
    import torch

    wanted = script(*(torch.from_numpy(sample[name]) for name in inputs))
    wanted = wanted if isinstance(wanted, tuple | list) else (wanted,)
    if len(wanted) != len(outputs):
        raise ValueError(f"the config lists {len(outputs)} outputs, the model gives {len(wanted)}")
    for name, tensor, got in zip(outputs, wanted, session.run(list(outputs), dict(sample)), strict=True):
        shape = list(tensor.shape)
        if list(got.shape) != shape:
            raise ValueError(f"output '{name}' of the traced graph has the shape {list(got.shape)}, expected {shape}")
        error = float(np.abs(got.astype(np.float64) - tensor.double().numpy()).max(initial=0.0))
        if not error <= _TOLERANCE:
            raise ValueError(f"output '{name}' of the traced graph is off by {error:.3g}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
