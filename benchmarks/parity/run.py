"""Does what a Triton deployment moves over run as fast here: HTTP, ensembles of text, shared memory?

Both servers run at once, but one is stopped while the other is measured; within a round they are measured one after the
other, so a ratio is of neighbours in time. The clients share the processors with the servers.
"""

import argparse
import asyncio
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.frontend.servers import Server
from benchmarks.parity import load, tensors, text
from benchmarks.parity.peers import npuserve_peer, triton_peer
from benchmarks.report import Report

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bench" / "parity"
HTTP_CONNECTIONS = 16
TEXTS_IN_FLIGHT = 8
SETTLE_SECONDS = 0.5

Measure = Callable[[Server, int], float]
"""Takes a peer and its HTTP port; returns a rate."""


def main() -> None:
    """Measure all three and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    arguments = parser.parse_args()
    ours, theirs = WORK / "npuserve_models", WORK / "triton_models"
    text.write_repositories(ROOT / "build" / "demo", ours, theirs)
    tensors.write_models(ours, "identity")
    tensors.write_models(theirs, "echo")
    texts = text.sentences()
    header_bytes = tensors.http_request(WORK / "http.bin")
    seconds: float = arguments.seconds

    def http(server: Server, http_port: int) -> float:
        tensors.check_http(http_port, WORK / "http.bin", header_bytes)
        return _http_rate(f"http://127.0.0.1:{http_port}{tensors.http_path()}", header_bytes, seconds)

    requests: dict[str, list[tuple[bytes, bytes]]] = {}

    def ensemble(server: Server, http_port: int) -> float:
        return load.closed_loop(server.address, requests[text.TINY], TEXTS_IN_FLIGHT, seconds)

    def trained(server: Server, http_port: int) -> float:
        return load.closed_loop(server.address, requests[text.MINILM], TEXTS_IN_FLIGHT, seconds)

    def compare(servers: list[Server]) -> None:
        for encoder in text.ENCODERS:
            labels = [asyncio.run(text.ask(server.address, encoder, texts)) for server in servers]
            if labels[0] != labels[1]:
                raise ValueError(f"the two servers label the same sentences differently by {encoder}")
            requests[encoder] = text.requests(encoder, texts, labels[0])

    def shared_memory(server: Server, http_port: int) -> float:
        return tensors.through_shared_memory(server.address, seconds)

    report = Report("parity")
    measured: dict[str, Measure] = {
        "http_ratio_16x1": http,
        "ensemble_ratio": ensemble,
        "ensemble_ratio_minilm": trained,
        "shm_ratio_16mb": shared_memory,
    }
    rates = _contest(ours, theirs, measured, arguments.rounds, compare)
    for name, (mine, other) in rates.items():
        report.add(name, "ratio", [a / b for a, b in zip(mine, other, strict=True)])
    for name, (mine, other) in rates.items():
        report.add(f"npuserve_{name.replace('_ratio', '')}", "requests/s", mine)
        report.add(f"triton_{name.replace('_ratio', '')}", "requests/s", other)
    report.publish()


def _contest(
    ours: Path, theirs: Path, measured: dict[str, Measure], rounds: int, compare: Callable[[list[Server]], None]
) -> dict[str, tuple[list[float], list[float]]]:
    """Return each measure's rates, ours and theirs, a round each. A first pass warms up and is not kept.

    compare: raises ValueError if the two, which run both, answer differently.
    """
    rates: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in measured}
    with ExitStack() as running:
        servers = []
        for peer in (npuserve_peer(ours), triton_peer(theirs)):
            server = running.enter_context(peer.launch.running(WORK / "logs"))
            servers.append((server, peer.http_port))
        compare([server for server, _ in servers])
        for server, _ in servers:
            server.pause()
        for turn in range(rounds + 1):
            for name, measure in measured.items():
                for place in (0, 1) if turn % 2 == 0 else (1, 0):
                    server, http_port = servers[place]
                    server.resume()
                    rate = measure(server, http_port)
                    # Triton aborts if it is stopped in the middle of a call of its python backend.
                    time.sleep(SETTLE_SECONDS)
                    server.pause()
                    if turn > 0:
                        rates[name][place].append(rate)
    return rates


def _http_rate(url: str, header_bytes: int, seconds: float) -> float:
    """Return the requests/s of 16 connections with one request in flight each. Raises ValueError if one failed."""
    command = ["h2load", "--h1", "-t", "1", "-c", str(HTTP_CONNECTIONS), "-m", "1", "-D", f"{round(seconds * 1000)}ms"]
    command += ["-d", str(WORK / "http.bin"), "-H", f"Inference-Header-Content-Length: {header_bytes}"]
    command += ["-H", "content-type: application/octet-stream", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"finished in [^,]*, ([\d.]+) req/s", output)
    failed = re.search(r"(\d+) failed, .*\n.*status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    if rate is None or failed is None or failed[1] != "0" or (failed[4], failed[5]) != ("0", "0"):
        raise ValueError(f"{' '.join(command)}: a request failed\n{output}")
    return float(rate[1])


if __name__ == "__main__":
    main()
