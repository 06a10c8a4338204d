"""`loadgen_sink`: a server that does nothing but answer, with the answer of the identity model."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tritonclient.grpc import service_pb2

from benchmarks.frontend.model import MODEL, NUMBERS

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "editable" / "loadgen_sink"


@contextmanager
def sink(work: Path, idle: bool = False) -> Iterator[str]:
    """Run it, only when nobody else wants the core if `idle`; yields its address."""
    answer = service_pb2.ModelInferResponse(model_name=MODEL)
    answer.outputs.add(name="OUTPUT0", datatype="FP32", shape=(1, NUMBERS))
    answer.raw_output_contents.append(np.zeros(NUMBERS, np.float32).tobytes())
    work.mkdir(parents=True, exist_ok=True)
    file = work / "answer.bin"
    file.write_bytes(answer.SerializeToString())
    with subprocess.Popen([PROGRAM, file], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if idle:
                os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
