"""`npuserve bench` and its Python API against running servers of both front ends."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve._proto import inference_pb2
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load import LoadOptions, Progress, measure
from npuserve.migrate.load.options import Protocol
from support.golden_models import OPTIONAL, REPEAT, write_repository
from support.server import Server, command, environment, serving

PROTOCOLS: tuple[Protocol, ...] = ("grpc", "grpc_stream", "http")
QUICK: dict[str, Any] = {"warmup_seconds": 0.25, "window_seconds": 0.25, "max_windows": 2}


def url_of(server: Server, protocol: Protocol) -> str:
    return server.http_url if protocol == "http" else server.url


def pairs() -> list[dict[str, Any]]:
    random = np.random.default_rng(4)
    rows = (1, 2, 1, 4)
    return [{name: random.integers(0, 99, (n, 16), np.int32) for name in ("INPUT0", "INPUT1")} for n in rows]


def answered(server: Server, model: str) -> int:
    """How many requests the server says that it has answered."""
    with server.channel() as channel:
        ask = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelStatistics",
            inference_pb2.ModelStatisticsRequest.SerializeToString,
            inference_pb2.ModelStatisticsResponse.FromString,
        )
        (statistics,) = ask(inference_pb2.ModelStatisticsRequest(name=model)).model_stats
    return int(statistics.inference_stats.success.count)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_are_right_and_counted_as_the_server_counts_them(server: Server, protocol: Protocol) -> None:
    samples = pairs()
    before = answered(server, "pair")
    told: list[Progress] = []
    options = LoadOptions(
        url=url_of(server, protocol), model="pair", protocol=protocol, samples=samples, concurrency=6, processes=2,
        kept_answers=4, **QUICK,
    )  # fmt: skip
    report = measure(options, told.append)
    assert report.measured.failures == ()
    assert report.unanswered == 0
    assert report.rows == 2.0
    assert sorted(report.answers) == [0, 1, 2, 3]
    for number, answer in report.answers.items():
        left, right = samples[number]["INPUT0"], samples[number]["INPUT1"]
        assert np.array_equal(answer["OUTPUT0"], left + right)
        assert np.array_equal(answer["OUTPUT1"], left - right)
    # Warm-up, the first request and the drained ones are the server's alone.
    seen = sum(progress.latest.latency.total for progress in told)
    total = answered(server, "pair") - before
    assert report.measured.latency.total <= seen < total
    assert total - seen < 0.9 * total
    assert [progress.window for progress in told] == [0, 1, 2]
    assert report.measured.latency.min_ns > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_open_loop_keeps_its_rate(server: Server, protocol: Protocol) -> None:
    told: list[Progress] = []
    options = LoadOptions(
        url=url_of(server, protocol), model="pair", protocol=protocol, samples=pairs(), request_rate=40.0,
        distribution="constant", processes=2, **{**QUICK, "max_windows": 4},
    )  # fmt: skip
    report = measure(options, told.append)
    sent = sum(progress.latest.sent for progress in told)
    due = 40.0 * sum(progress.latest.seconds for progress in told)
    assert report.measured.failures == ()
    assert abs(sent - due) <= 2 + 40.0 * report.measured.behind_seconds


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_server_refuses_is_told_before_the_load(server: Server, protocol: Protocol) -> None:
    too_many = [{name: np.zeros((9, 16), np.int32) for name in ("INPUT0", "INPUT1")}]
    options = LoadOptions(url=url_of(server, protocol), model="pair", protocol=protocol, samples=too_many, **QUICK)
    with pytest.raises(MigrationError, match=r"refused: .*batch-size must be <= 8 for 'pair'"):
        measure(options)


def bench(*flags: str) -> "subprocess.CompletedProcess[str]":
    quick = ("--warmup=0.25", "--window=0.25", "--max-windows=2")
    return subprocess.run(
        command("bench", *quick, *flags), env=environment(), capture_output=True, text=True, check=False, timeout=120
    )


def test_the_command_sends_a_data_set_of_true_lengths_and_writes_what_it_found(server: Server, tmp_path: Path) -> None:
    lines = [{"input_ids": [1] * length, "attention_mask": [1] * length} for length in (3, 8, 12)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out.json"
    flags = ("--model=tokens", f"--url={server.url}", "--concurrency=1:5:x4", f"--input={tmp_path / 'data.jsonl'}")
    done = bench(*flags, f"--json={out}")
    assert done.returncode == 0, done.stderr
    assert "| concurrency 1 " in done.stdout
    assert "| concurrency 4 " in done.stdout
    first, second = json.loads(out.read_text())["loads"]
    assert (first["concurrency"], second["concurrency"]) == (1, 4)
    for load in (first, second):
        assert load["errors"] == []
        assert load["requests"] == sum(count for _, count in load["steps"])
        assert 0 < load["latency_ms"]["min"] <= load["latency_ms"]["p50"] <= load["latency_ms"]["max"]
        assert len(load["windows"]) == 2


def test_json_may_go_to_stdout_alone(server: Server) -> None:
    done = bench("--model=pair", f"--url={server.http_url}", "--protocol=http", "--batch=2", "--json=-")
    assert done.returncode == 0, done.stderr
    (load,) = json.loads(done.stdout)["loads"]
    assert load["rows_per_request"] == 2.0


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_bad_input_is_one_sentence(server: Server, protocol: Protocol) -> None:
    here = f"--url={url_of(server, protocol)}"
    for flags, sentence in (
        (["--model=none", here], "Request for unknown model: 'none' is not found"),
        (["--model=pair", here, "--model-version=7"], "'pair' version 7 is not"),
        (["--model=pair", "--url=127.0.0.1:1"], "the server at 127.0.0.1:1 cannot be reached"),
        (["--model=tokens", here], "give a data set, --lengths or --shape"),
        (["--model=tokens", here, "--lengths=400"], "refused"),
        (["--model=pair", here, "--shape=INPUT0:3"], "the input 'INPUT0' must have the shape [-1, 16], got [1, 3]"),
    ):
        done = bench(f"--protocol={protocol}", *flags)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stdout == ""


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model that may answer more than once, and one with an input that may be left out."""
    repository = tmp_path_factory.mktemp("others") / "models"
    write_repository(repository, [REPEAT, OPTIONAL], "npuserve")
    with serving(repository) as server:
        yield server


def test_a_decoupled_model_is_refused(others: Server) -> None:
    done = bench("--model=repeat", f"--url={others.url}", "--streaming")
    assert done.returncode == 2
    assert "model 'repeat' is decoupled: only models of one answer a request can be measured" in done.stderr


def test_an_optional_input_may_be_left_out(others: Server) -> None:
    options = LoadOptions(url=others.url, model="optional", samples=[{"INPUT0": np.ones((1, 2), np.int32)}], **QUICK)
    assert measure(options).measured.failures == ()


def test_a_server_that_dies_fails_what_was_under_way_and_the_rest_is_told(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    write_repository(repository, [OPTIONAL], "npuserve")
    samples = [{"INPUT0": np.ones((1, 2), np.int32)}]
    with serving(repository) as server:
        options = LoadOptions(url=server.url, model="optional", samples=samples, **{**QUICK, "max_windows": 4})

        def kill(progress: Progress) -> None:
            if progress.window == 1:
                server.signal(signal.SIGKILL)

        report = measure(options, kill)
    assert not report.stable
    (failure,) = report.measured.failures
    assert failure.status == "connection"
    assert failure.message


def test_ctrl_c_ends_the_command_and_its_processes(server: Server) -> None:
    arguments = command(
        "bench", "--model=pair", f"--url={server.url}", "--processes=2", "--concurrency=2", "--warmup=60"
    )
    process = subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        before = answered(server, "pair")
        until = time.monotonic() + 30
        while answered(server, "pair") < before + 50:
            assert time.monotonic() < until
            time.sleep(0.05)
        started = children.read_text().split()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert errors == "npuserve bench: interrupted\n"
    assert not [child for child in started if Path(f"/proc/{child}").exists()]
