"""Requests of different lengths in one batch, and the account of every token that the device ran, on a real server."""

import asyncio
import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from support.golden_calls import floats, infer_request
from support.models import expected_tokens
from support.prometheus import Metric, parse_metrics
from support.served_models import add_identity_model, add_model, copy_config
from support.server import Server, serving

KINDS = ("useful", "padding", "cancelled", "expired", "empty")
SLOW = copy_config(
    "FP32",
    1,
    rest='max_batch_size: 2 dynamic_batching { } parameters { key: "execute_delay_ms" value { string_value: "400" } }',
)
SHEDDING = (
    SLOW.replace("dynamic_batching { }", "dynamic_batching { max_queue_delay_microseconds: 300 }")
    + ' parameters { key: "admission_max_wait_us" value { string_value: "1000" } }'
)
# For clients that pad to the longest gear.
PADDED = "".join(
    f'parameters {{ key: "{key}" value {{ string_value: "{text}" }} }}\n'
    for key, text in {
        "buckets": "on",
        "bucket_mask": "attention_mask",
        "bucket_padding.input_ids": "7",
        "bucket_detect_padding": "on",
        "bucket_max_overtaken": "2",
    }.items()
)
OVERLOADED = (
    r"model 'shedding' is overloaded: a request would wait about \d+ ms, more than admission_max_wait_us allows"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("accounted")
    add_model(folder, "tokens")
    padded = add_model(folder, "tokens", "padded") / "config.pbtxt"
    padded.write_text(padded.read_text() + PADDED)
    add_identity_model(folder, "slow", SLOW)
    add_identity_model(folder, "shedding", SHEDDING)
    with serving(folder) as running:
        yield running


def scrape(server: Server) -> dict[str, Metric]:
    connection = http.client.HTTPConnection(server.metrics_url, timeout=60)
    try:
        connection.request("GET", "/metrics")
        return parse_metrics(connection.getresponse().read().decode())
    finally:
        connection.close()


def scrape_until(server: Server, holds: Callable[[dict[str, Metric]], bool]) -> dict[str, Metric]:
    """Return the metrics once they hold; what is counted follows the answer."""
    until = time.monotonic() + 30
    while not holds(found := scrape(server)):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def tokens_of(metrics: dict[str, Metric], model: str) -> dict[str, dict[str, int]]:
    """Return the tokens of a model by gear and kind."""
    found: dict[str, dict[str, int]] = {}
    for (_, labels), value in metrics["npu_tokens_total"].samples.items():
        given = dict(labels)
        if given["model"] == model:
            found.setdefault(given["gear"], {})[given["kind"]] = int(value)
    return found


def check_account(metrics: dict[str, Metric], model: str) -> dict[str, int]:
    """Check that every gear's tokens sum to what it ran; return the sums of the kinds."""
    sums = dict.fromkeys(KINDS, 0)
    executions = metrics["npu_gear_executions_total"]
    for gear, kinds in tokens_of(metrics, model).items():
        assert set(kinds) == set(KINDS)
        held = np.prod([int(size) for size in gear.split("x")])
        ran = executions.value("npu_gear_executions_total", model=model, version="1", gear=gear)
        assert sum(kinds.values()) == ran * held, gear
        for kind, count in kinds.items():
            sums[kind] += count
    return sums


async def ask_tokens(
    client: triton_aio.InferenceServerClient, rows: int, length: int, seed: int, padded_to: int = 0
) -> None:
    """Ask for tokens of that length and check the answer: no padding has changed it, and none is left in it.

    padded_to: the length to which the client itself pads; the answer is as long then. 0: it does not.
    """
    ids = np.random.default_rng(seed).integers(1, 1000, (rows, length))
    mask = np.ones((rows, length), np.int64)
    more = max(0, padded_to - length)
    inputs = []
    for name, array in (("input_ids", ids), ("attention_mask", mask)):
        given = np.pad(array, ((0, 0), (0, more)))
        inputs.append(triton.InferInput(name, list(given.shape), "INT64"))
        inputs[-1].set_data_from_numpy(given)
    answer = (await client.infer("padded" if padded_to else "tokens", inputs)).as_numpy("logits")
    np.testing.assert_array_equal(answer, np.pad(expected_tokens(ids, mask), ((0, 0), (0, more), (0, 0))))


async def test_every_token_of_ragged_requests_is_accounted_for(server: Server) -> None:
    before = scrape(server)
    warmed = check_account(before, "tokens")
    numbers = np.random.default_rng(7)
    asked = [(int(numbers.integers(1, 3)), int(numbers.integers(1, 17))) for _ in range(200)]
    async with triton_aio.InferenceServerClient(server.url) as client:
        await asyncio.gather(*(ask_tokens(client, rows, length, seed) for seed, (rows, length) in enumerate(asked)))
    wanted = sum(rows * length for rows, length in asked)
    metrics = scrape_until(server, lambda m: check_account(m, "tokens")["useful"] - warmed["useful"] >= wanted)
    sums = check_account(metrics, "tokens")
    assert sums["useful"] - warmed["useful"] == wanted
    assert (sums["cancelled"], sums["expired"]) == (0, 0)
    lengths, name = metrics["npu_request_length"], "npu_request_length"
    assert lengths.value(f"{name}_sum", model="tokens", version="1") == wanted
    assert lengths.value(f"{name}_count", model="tokens", version="1") == sum(rows for rows, _ in asked)
    # Requests of different lengths have shared executions.
    executions = sum(metrics["npu_gear_executions_total"].samples[key] for key in _of(metrics, "tokens"))
    assert executions < len(asked)


async def test_what_a_client_has_padded_is_cut_and_counts_as_padding(server: Server) -> None:
    async with triton_aio.InferenceServerClient(server.url) as client:
        await asyncio.gather(*(ask_tokens(client, 1, 1 + seed % 8, seed, padded_to=16) for seed in range(64)))
    wanted = sum(1 + seed % 8 for seed in range(64))
    metrics = scrape_until(server, lambda m: check_account(m, "padded")["useful"] >= wanted)
    assert check_account(metrics, "padded")["useful"] == wanted


def _of(metrics: dict[str, Metric], model: str) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [key for key in metrics["npu_gear_executions_total"].samples if ("model", model) in key[1]]


def test_a_gear_tells_what_it_costs(server: Server) -> None:
    costs = scrape(server)["npu_gear_cost_us"]
    found = {dict(labels)["gear"]: cost for (_, labels), cost in costs.samples.items() if ("model", "tokens") in labels}
    assert set(found) == {"1x8", "4x8", "4x16"}
    assert min(found.values()) > 0


def ask(server_channel: grpc.Channel, model: str, timeout_s: float = 60) -> "grpc.Future[bytes]":
    """Begin a request of one row."""
    call = server_channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", None, None)
    return call.future(infer_request(model, floats("x", (1, 1), 1)).SerializeToString(), timeout=timeout_s)


def test_work_that_nobody_waits_for_any_more_is_told_as_such(server: Server) -> None:
    before = check_account(scrape(server), "slow")
    with server.channel() as channel:
        futures = [ask(channel, "slow") for _ in range(8)]
        wait(futures)
        for future in futures:
            future.cancel()

    def ended(metrics: dict[str, Metric]) -> bool:
        sums, failures = check_account(metrics, "slow"), "nv_inference_request_failure"
        ran = sum(sums[kind] - before[kind] for kind in ("useful", "cancelled"))
        in_queue = metrics[failures].value(failures, reason="CANCELED", model="slow", version="1")
        return ran + in_queue == len(futures)

    sums = check_account(scrape_until(server, ended), "slow")
    # When the first was answered another batch was running.
    assert sums["useful"] > before["useful"]
    assert sums["cancelled"] > before["cancelled"]


def wait(futures: Sequence["grpc.Future[bytes]"]) -> None:
    """Return when one of them is done."""
    done = threading.Event()
    for future in futures:
        future.add_done_callback(lambda _: done.set())
    assert done.wait(60)


def test_work_for_a_deadline_that_has_passed_is_told_as_such(server: Server) -> None:
    before = check_account(scrape(server), "slow")
    with server.channel() as channel:
        assert ask(channel, "slow", 0.2).exception() is not None

    def given_up(metrics: dict[str, Metric]) -> int:
        # A client whose deadline is over cancels its call too; either may be seen first.
        sums = check_account(metrics, "slow")
        return sum(sums[kind] - before[kind] for kind in ("cancelled", "expired"))

    assert given_up(scrape_until(server, lambda metrics: given_up(metrics) > 0)) == 1


def gauge(metrics: dict[str, Metric], name: str) -> float:
    return metrics[name].value(name, model="shedding", version="1")


def test_requests_that_would_wait_too_long_are_shed_and_counted(server: Server) -> None:
    with server.channel() as channel:
        ask(channel, "shedding").result()
        futures = [ask(channel, "shedding") for _ in range(20)]
        scrape_until(server, lambda metrics: gauge(metrics, "npu_predicted_wait_us") > 1000)
        errors = [error for future in futures if (error := future.exception()) is not None]
    assert 0 < len(errors) < 20
    for error in errors:
        assert isinstance(error, grpc.Call)
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert re.fullmatch(OVERLOADED, error.details() or "")
    metrics = scrape(server)
    assert gauge(metrics, "npu_queue_delay_us") == 300
    labels = {"model": "shedding", "version": "1"}
    assert metrics["npu_requests_shed_total"].value("npu_requests_shed_total", **labels) == len(errors)
    failures = "nv_inference_request_failure"
    assert metrics[failures].value(failures, reason="REJECTED", **labels) == len(errors)
