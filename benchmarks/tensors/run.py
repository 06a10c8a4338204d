"""How many bytes a second go through the server, in and out, beside Triton and beside a memcpy of the same bytes?

One FP32 tensor of 16 MiB in, the same out. GB/s count a tensor once, though it crosses the wire twice. The client,
which makes and takes as many bytes, shares the processors with the server.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.frontend import h2load, servers
from benchmarks.frontend.check import grpc_answer_bytes
from benchmarks.frontend.contest import Peer, rotated
from benchmarks.frontend.h2load import Target
from benchmarks.frontend.model import METHOD, framed, request_message, write_model
from benchmarks.report import Report
from benchmarks.tensors.client import tritonclient_rate
from benchmarks.tensors.plot import draw

WORK = Path(__file__).resolve().parents[2] / "build" / "bench" / "tensors"
NUMBERS = 4 * 1024 * 1024
TENSOR_GB = NUMBERS * 4 / 1e9
NATIVE, TRITON = "native", "triton"
IN_FLIGHT = (1, 4)  # each on a connection of its own

Samples = defaultdict[str, list[float]]


def main() -> None:
    """Run, publish, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    arguments = parser.parse_args()
    samples: Samples = defaultdict(list)
    with contest() as peers:
        for turn in range(arguments.rounds):
            samples["memcpy"].append(memcpy_rate(arguments.seconds / 4) * TENSOR_GB)
            for in_flight in IN_FLIGHT:
                for peer in rotated(peers, turn):
                    measure(peer, in_flight, arguments.seconds, samples)
    report = Report("tensors")
    for in_flight in IN_FLIGHT:
        for client in ("h2load", "tritonclient"):
            name = f"{client}_{in_flight}"
            ours, theirs = samples[f"{NATIVE}_{name}"], samples[f"{TRITON}_{name}"]
            report.add(f"tensors_ratio_triton_{name}", "ratio", ratios(ours, theirs))
            report.add(f"tensors_over_memcpy_{name}", "ratio", ratios(ours, samples["memcpy"]))
    for name, rates in samples.items():
        report.add(f"tensors_{name}", "s/GB" if "_cpu_" in name else "GB/s", rates)
    draw(report, report.publish().with_suffix(".png"))


@contextmanager
def contest() -> Iterator[list[Peer]]:
    """Start both servers, see that their answers are right, and put them to sleep."""
    ours, theirs = WORK / "npuserve_models", WORK / "triton_models"
    for repository, backend in ((ours, "identity"), (theirs, "echo")):
        write_model(repository, backend, numbers=NUMBERS, max_batch_size=1)
    body = WORK / "request.bin"
    body.write_bytes(framed(request_message(np.random.default_rng(1).random(NUMBERS, np.float32))))
    with (
        servers.npuserve(NATIVE, ours, "native").running(WORK) as native,
        servers.triton_server(theirs).running(WORK) as triton,
    ):
        peers = []
        for name, server in ((NATIVE, native), (TRITON, triton)):
            answer_bytes = grpc_answer_bytes(server.address, max(IN_FLIGHT), 1, numbers=NUMBERS)
            peers.append(Peer(name, server, Target(f"http://{server.address}{METHOD}", body, answer_bytes)))
            server.pause()
        yield peers


def measure(peer: Peer, in_flight: int, seconds: float, samples: Samples) -> None:
    """One peer with both clients."""
    with peer.awake():
        before = peer.server.cpu_seconds()
        answers = h2load.closed_loop(peer.target, in_flight, 1, seconds, large=True)
        used = peer.server.cpu_seconds() - before
        by_client = tritonclient_rate(peer.server.address, NUMBERS, in_flight, seconds)
    samples[f"{peer.name}_h2load_{in_flight}"].append(answers.per_second * TENSOR_GB)
    samples[f"{peer.name}_cpu_h2load_{in_flight}"].append(used / (answers.count * TENSOR_GB))
    samples[f"{peer.name}_tritonclient_{in_flight}"].append(by_client * TENSOR_GB)


def memcpy_rate(seconds: float) -> float:
    """Return copies of a tensor per second, into memory that is already there."""
    source, target = np.ones(NUMBERS, np.float32), np.zeros(NUMBERS, np.float32)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        np.copyto(target, source)
        count += 1
    return count / (time.perf_counter() - start)


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Divide round by round."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


if __name__ == "__main__":
    main()
