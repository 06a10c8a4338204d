"""How much of the device does the whole server deliver, and what does the engine itself cost a batch?

Efficiency: sequences/s of BERT-Small (length 128, batch gears 1 to 16, 64 clients) through gRPC, batcher, engine and
emulator, over the same graph in a bare OpenVINO loop of batch 16 with as many threads. The two alternate in one run;
the clients share the processor with the server. Overhead: an identity model, from C++ and from Python; and what the
statistics cost a request.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from benchmarks.engine.bare_loop import BareLoop
from benchmarks.engine.load import LoadResult, closed_loop
from benchmarks.engine.overhead import EngineLoop, Overhead
from benchmarks.engine.plot import draw
from benchmarks.report import Report

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bench"
EMULATOR = ROOT / "server" / "npuserve" / "_emulator"
NATIVE = ROOT / "build" / "editable"
NPUSERVE = Path(sys.executable).parent / "npuserve"

MODEL = "bert_small"
LENGTH = 128
BATCHES = (1, 2, 4, 8, 16)
CLIENTS = 64

# Requests that share an execution, in what counting costs.
EXECUTIONS = (1, 8, 25)


def main() -> None:
    """Run both parts and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of server and bare loop")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each measurement")
    arguments = parser.parse_args()
    report = Report("engine")
    served, bare = measure_efficiency(arguments.rounds, arguments.seconds)
    report.add("engine_efficiency", "ratio", [s.requests_per_second / b for s, b in zip(served, bare, strict=True)])
    report.add("server_rate", "sequences/s", [result.requests_per_second for result in served])
    report.add("bare_loop_rate", "sequences/s", bare)
    report.add("server_p50", "ms", [result.p50_ms for result in served])
    report.add("server_p99", "ms", [result.p99_ms for result in served])
    for language, samples in measure_overhead(arguments.rounds).items():
        report.add(f"overhead_{language}_p50", "us", [sample.p50_us for sample in samples])
        report.add(f"overhead_{language}_p99", "us", [sample.p99_us for sample in samples])
        report.add(f"overhead_{language}_rate", "requests/s", [sample.requests_per_second for sample in samples])
    for requests, costs in measure_counting(arguments.rounds).items():
        report.add(f"counting_{requests}", "ns/request", costs)
    draw(report, report.publish().with_suffix(".png"))


def measure_efficiency(rounds: int, seconds: float) -> tuple[list[LoadResult], list[float]]:
    """Alternate the server and the bare loop; return what each gave, round by round."""
    repository = WORK / "repository"
    convert = [sys.executable, ROOT / "examples" / "bert_small" / "convert.py", "--models", MODEL]
    options = [
        "--work",
        WORK,
        "--repository",
        repository,
        "--batches",
        ",".join(map(str, BATCHES)),
        "--lengths",
        LENGTH,
    ]
    subprocess.run([str(part) for part in (*convert, *options)], check=True)
    threads = os.cpu_count() or 1
    loop = BareLoop(WORK / "onnx" / f"{MODEL}.onnx", BATCHES[-1], LENGTH, threads)
    served, bare = [], []
    with server(repository, threads) as address:
        asyncio.run(closed_loop(address, MODEL, LENGTH, CLIENTS, 3.0))  # not counted: caches and channels warm up
        loop.measure(1.0)
        for _ in range(rounds):
            served.append(asyncio.run(closed_loop(address, MODEL, LENGTH, CLIENTS, seconds)))
            bare.append(loop.measure(seconds))
    return served, bare


def measure_overhead(rounds: int) -> dict[str, list[Overhead]]:
    """Alternate the engine from C++ and from Python."""
    model = identity_model()
    loop = EngineLoop(EMULATOR / "libascendcl.so", model)
    samples: dict[str, list[Overhead]] = {"cpp": [], "python": []}
    for _ in range(rounds):
        samples["cpp"].append(native_overhead(model))
        samples["python"].append(loop.measure(5000, 64, 100_000))
    loop.close()
    return samples


def measure_counting(rounds: int) -> dict[int, list[float]]:
    """Return what the statistics cost a request, by the requests that share an execution."""
    samples: dict[int, list[float]] = {requests: [] for requests in EXECUTIONS}
    command = [str(part) for part in (NATIVE / "engine_counting", *EXECUTIONS)]
    for _ in range(rounds):
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            requests, counted, uncounted = line.split()
            samples[int(requests)].append(float(counted) - float(uncounted))
    return samples


def native_overhead(model: Path) -> Overhead:
    """Run the C++ half."""
    command = [
        str(part) for part in (NATIVE / "engine_overhead", EMULATOR / "libascendcl.so", model, 5000, 64, 100_000)
    ]
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    p50, p99, rate = (float(number) for number in line.split())
    return Overhead(p50, p99, rate)


def identity_model() -> Path:
    """Compile `y = x` for batches of 1 to 8 rows of four floats."""
    WORK.mkdir(parents=True, exist_ok=True)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    source = WORK / "identity.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), source)
    flags = ["--framework=5", f"--model={source}", f"--output={WORK / 'identity'}", "--soc_version=Ascend910B3"]
    gears = ["--input_format=ND", "--input_shape=x:-1,4", "--dynamic_batch_size=1,2,4,8"]
    subprocess.run([EMULATOR / "atc", *flags, *gears], check=True, stdout=subprocess.DEVNULL)
    return WORK / "identity.om"


@contextmanager
def server(repository: Path, threads: int) -> Iterator[str]:
    """Run `npuserve serve` on the emulator; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [str(NPUSERVE), "serve", f"--model-repository={repository}", f"--grpc-port={port}"]
    command += ["--allow-http=false", "--allow-metrics=false"]
    environment = os.environ | {"NPUSERVE_EMULATOR_THREADS": str(threads)}
    with (WORK / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for_port(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when the server listens: it opens its port when every model is loaded."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server ended with code {process.returncode}; see {WORK / 'server.log'}")


if __name__ == "__main__":
    main()
