"""Requests whose clients give up while they wait for a busy model: told in time, and never executed."""

from collections.abc import Iterator
from dataclasses import dataclass
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
# What an instance has in hand, executing or launched behind that: more than its slots, so that all else is queued.
IN_HAND = 3


@pytest.fixture(scope="module", params=("native", "grpcio"))
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("busy")
    delay = f'parameters {{ key: "execute_delay_ms" value {{ string_value: "{EXECUTION_MS}" }} }}'
    add_identity_model(folder, "deadline", copy_config("INT32", 1, rest=delay))
    with serving(folder, f"--frontend={request.param}") as server:
        yield server


@dataclass(frozen=True)
class Model:
    """One model of the server, and what a client may do with it."""

    name: str
    channel: grpc.Channel

    def send(self, value: int, timeout: float | None = None) -> "grpc.CallFuture[service_pb2.ModelInferResponse]":
        call = self.channel.unary_unary(
            SERVICE + "ModelInfer",
            service_pb2.ModelInferRequest.SerializeToString,
            service_pb2.ModelInferResponse.FromString,
        )
        request = pair_request(("x", "INT32", (1,)), model_name=self.name, raw=[value.to_bytes(4, "little")])
        return call.future(request, timeout=timeout)

    def statistics(self) -> service_pb2.ModelStatistics:
        call = self.channel.unary_unary(
            SERVICE + "ModelStatistics",
            service_pb2.ModelStatisticsRequest.SerializeToString,
            service_pb2.ModelStatisticsResponse.FromString,
        )
        return call(service_pb2.ModelStatisticsRequest(name=self.name), timeout=20).model_stats[0]


def values(answers: "list[grpc.CallFuture[service_pb2.ModelInferResponse]]") -> list[int]:
    return [int.from_bytes(answer.result(timeout=60).raw_output_contents[0], "little") for answer in answers]


def check_executed(model: Model, requests: int) -> None:
    counted = model.statistics()
    assert (counted.inference_count, counted.execution_count) == (requests, requests)
    assert counted.inference_stats.success.count == requests


def test_a_queued_request_whose_deadline_passes_is_told_in_time_and_never_executed(server: Server) -> None:
    with server.channel() as channel:
        model = Model("deadline", channel)
        busy = [model.send(1) for _ in range(IN_HAND)]
        late = [model.send(2, DEADLINE_SECONDS) for _ in range(5)]
        patient = model.send(3)
        assert [call.code() for call in late] == [grpc.StatusCode.DEADLINE_EXCEEDED] * 5
        assert not busy[-1].done()
        assert values([*busy, patient]) == [1] * IN_HAND + [3]
        check_executed(model, IN_HAND + 1)


def test_requests_of_a_client_that_disconnects_are_never_executed(server: Server) -> None:
    with server.channel() as other:
        watched = Model("deadline", other)
        before = watched.statistics().inference_count
        with server.channel() as channel:
            leaving = Model("deadline", channel)
            for _ in range(IN_HAND + 5):
                leaving.send(1)
            # An answer on the same connection says that what was sent before it has been read.
            leaving.statistics()
        assert values([watched.send(3)]) == [3]
        assert watched.statistics().inference_count - before <= IN_HAND + 1
