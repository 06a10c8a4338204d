"""Requests whose clients give up while they wait in a model's queue: told in time, and never executed."""

import math
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import pytest
from support.infer_requests import pair_request
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.grpc import service_pb2

SERVICE = "/inference.GRPCInferenceService/"
EXECUTION_MS = 800
DEADLINE_SECONDS = 0.1
FULL_BATCH, QUEUE_SIZE = 8, 5
# Single rows wait here for longer than any test, and no more of them than the queue holds.
WAITING_FOR_COMPANY = f"""
max_batch_size: {FULL_BATCH}
dynamic_batching {{
  preferred_batch_size: [ {FULL_BATCH} ]
  max_queue_delay_microseconds: 3600000000
  default_queue_policy {{ max_queue_size: {QUEUE_SIZE} }}
}}
"""
# What an instance has in hand, executing or launched behind that: more than its slots, so that all else is queued.
IN_HAND = 3


@pytest.fixture(scope="module", params=("native", "grpcio"))
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("busy")
    delay = f'parameters {{ key: "execute_delay_ms" value {{ string_value: "{EXECUTION_MS}" }} }}'
    add_identity_model(folder, "busy", copy_config("INT32", 1, rest=delay))
    for model in ("cancelled", "left"):
        add_identity_model(folder, model, copy_config("INT32", 1, rest=WAITING_FOR_COMPANY))
    with serving(folder, f"--frontend={request.param}") as server:
        yield server


@dataclass(frozen=True)
class Model:
    """One model of the server, and what a client may do with it."""

    name: str
    channel: grpc.Channel

    def send(
        self, value: int, timeout: float | None = None, shape: tuple[int, ...] = (1,)
    ) -> "grpc.CallFuture[service_pb2.ModelInferResponse]":
        call = self.channel.unary_unary(
            SERVICE + "ModelInfer",
            service_pb2.ModelInferRequest.SerializeToString,
            service_pb2.ModelInferResponse.FromString,
        )
        raw = value.to_bytes(4, "little") * math.prod(shape)
        request = pair_request(("x", "INT32", shape), model_name=self.name, raw=[raw])
        return call.future(request, timeout=timeout)

    def fill_the_queue(self) -> "list[grpc.CallFuture[service_pb2.ModelInferResponse]]":
        """Send one more than the queue holds: that one of them is refused says that all others are in it."""
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()

        def note(index: int, _: object) -> None:
            ended.put(index)

        calls = [self.send(1, shape=(1, 1)) for _ in range(QUEUE_SIZE + 1)]
        for index, call in enumerate(calls):
            call.add_done_callback(partial(note, index))
        refused = calls.pop(ended.get(timeout=60))
        assert refused.code() == grpc.StatusCode.UNAVAILABLE
        assert "Exceeds maximum queue size" in refused.details()
        return calls

    def statistics(self) -> service_pb2.ModelStatistics:
        call = self.channel.unary_unary(
            SERVICE + "ModelStatistics",
            service_pb2.ModelStatisticsRequest.SerializeToString,
            service_pb2.ModelStatisticsResponse.FromString,
        )
        return call(service_pb2.ModelStatisticsRequest(name=self.name), timeout=20).model_stats[0]


def values(answers: "list[grpc.CallFuture[service_pb2.ModelInferResponse]]") -> list[int]:
    return [int.from_bytes(answer.result(timeout=60).raw_output_contents[0], "little") for answer in answers]


@contextmanager
def connected(server: Server) -> Iterator[grpc.Channel]:
    """A channel whose calls reach the server in the order of their making: those made before it is there do not."""
    with server.channel() as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        yield channel


def check_executed(model: Model, requests: int) -> None:
    counted = model.statistics()
    assert (counted.inference_count, counted.execution_count) == (requests, requests)
    assert counted.inference_stats.success.count == requests


def check_that_the_queue_empties_without_an_execution(model: Model) -> None:
    until = time.monotonic() + 60
    while (counted := model.statistics()).inference_stats.fail.count < QUEUE_SIZE:
        assert time.monotonic() < until, counted
    # Were one of them left, it would stand before this batch and be executed.
    model.send(2, shape=(FULL_BATCH, 1)).result(timeout=60)
    counted = model.statistics()
    assert (counted.inference_count, counted.execution_count) == (FULL_BATCH, 1)
    assert (counted.inference_stats.success.count, counted.inference_stats.fail.count) == (1, QUEUE_SIZE)


def test_a_deadline_that_passes_while_the_model_is_busy_is_told_in_time_and_nothing_is_executed(server: Server) -> None:
    with connected(server) as channel:
        model = Model("busy", channel)
        busy = [model.send(1) for _ in range(IN_HAND)]
        late = [model.send(2, DEADLINE_SECONDS) for _ in range(5)]
        patient = model.send(3)
        assert [call.code() for call in late] == [grpc.StatusCode.DEADLINE_EXCEEDED] * 5
        assert not busy[-1].done()
        assert values([*busy, patient]) == [1] * IN_HAND + [3]
        check_executed(model, IN_HAND + 1)


def test_a_queued_request_that_is_cancelled_is_never_executed(server: Server) -> None:
    with connected(server) as channel:
        model = Model("cancelled", channel)
        for call in model.fill_the_queue():
            call.cancel()  # type: ignore[no-untyped-call]  # the stubs leave its result out
        check_that_the_queue_empties_without_an_execution(model)


def test_queued_requests_of_a_client_that_disconnects_are_never_executed(server: Server) -> None:
    with connected(server) as other:
        with connected(server) as channel:
            Model("left", channel).fill_the_queue()
        check_that_the_queue_empties_without_an_execution(Model("left", other))
