"""PyTorch's part of the export, in a process of its own: `python -m npuserve.migrate.export.torch_child JOB FOLDER`.

So its memory is given back before the compiler wants it, and a crash of it is an error of the stage. Tells progress a
line on standard output, and ends with `outcome.json` in the folder.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from npuserve.migrate.chain.tensors import load_samples, save_samples
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.export.checkpoint import load_checkpoint
from npuserve.migrate.export.job import OUTCOME, Job, Outcome, write_outcome
from npuserve.migrate.export.module import load_module
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.tracing import Traceable, answer, check_repeatable, settle_mask, trace


def main(arguments: Sequence[str]) -> int:
    """Do the job in the file that the first argument names. Returns 1 behind an error that is told."""
    job, folder = Job.read(Path(arguments[0])), Path(arguments[1])
    threading.Thread(target=_end_with_the_stage, daemon=True).start()
    try:
        write_outcome(folder / OUTCOME, export(job, folder))
    except MigrationError as error:
        failure = {"message": str(error), "advice": error.advice, "setup": isinstance(error, SetupError)}
        (folder / OUTCOME).write_text(json.dumps(failure))
        return 1
    except OSError as error:
        # Of a full disk, above all: the file that tells of it is small enough.
        (folder / OUTCOME).write_text(json.dumps({"errno": error.errno, "strerror": str(error.strerror or error)}))
        return 1
    return 0


def export(job: Job, folder: Path) -> Outcome:
    """Write the graph and the baseline's answers into the folder. Raises MigrationError."""
    samples = load_samples(job.samples)
    tell("loading the model")
    loaded: Traceable
    loaded = load_checkpoint(job.checkpoint, job.task) if job.checkpoint else load_module(job.module, job.python_path)
    loaded = loaded.bound_to(samples[0])
    torch = imported("torch")
    started = time.monotonic()
    outputs = []
    with torch.no_grad():
        check_repeatable(loaded, samples[0])
        for number, sample in enumerate(samples, start=1):
            outputs.append(answer(loaded, sample))
            if number % 16 == 0:
                tell(f"baseline: {number} of {len(samples)} samples")
    seconds = time.monotonic() - started
    save_samples(job.answers, outputs)
    tell("tracing")
    traced, applied = settle_mask(loaded, samples, outputs)
    notes = trace(traced, samples, folder / "model.onnx", tuple(outputs[0]), job.opset)
    return Outcome(
        torch=torch.__version__,
        baseline_seconds=seconds,
        applied=[asdict(each) for each in applied],
        notes=notes,
    )


def _end_with_the_stage() -> None:
    """Wait until the stage is gone, killed maybe, and go, too: its end of standard input is closed then."""
    # Not by sys.stdin, whose lock a thread must not hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(1)


def tell(text: str) -> None:
    """Show what is done now."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
