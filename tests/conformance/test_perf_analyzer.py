"""The real perf_analyzer against a running server: it tests the metadata, the statistics and the ids of answers."""

import csv
import subprocess
from pathlib import Path

import pytest
from support.peers import PeerUnavailableError, perf_analyzer
from support.server import Server


@pytest.fixture(scope="session")
def program() -> tuple[Path, dict[str, str]]:
    try:
        return perf_analyzer()
    except PeerUnavailableError as error:
        pytest.skip(f"perf_analyzer cannot be had: {error}")


@pytest.mark.parametrize("mode", ["--sync", "--async"])
def test_perf_analyzer_measures_the_server(
    program: tuple[Path, dict[str, str]], server: Server, tmp_path: Path, mode: str
) -> None:
    path, environment = program
    report = tmp_path / "report.csv"
    command: list[str | Path] = [path, "-m", "pair", "-u", server.url, "-i", "grpc", "-b", "2", mode]
    command += ["--concurrency-range", "4"]
    command += ["--measurement-mode", "count_windows", "--measurement-request-count", "100", "-r", "3"]
    command += ["--stability-percentage", "100", "-f", report]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (row,) = csv.DictReader(report.read_text().splitlines())
    assert float(row["Inferences/Second"]) > 0
    assert float(row["Server Compute Infer"]) > 0
    assert float(row["p99 latency"]) > 0
