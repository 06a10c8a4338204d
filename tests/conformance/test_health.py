"""grpc.health.v1 as the stock health client sees it."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService", "no.such.Service"])
def test_any_service_name_is_answered_for_the_whole_server(channel: grpc.Channel, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("service", "expected"),
    [("", "SERVING"), ("pair", "SERVING"), ("pair/1", "SERVING"), ("pair/7", "NOT_SERVING"), ("no", "SERVICE_UNKNOWN")],
)
def test_a_watch_tells_the_state_and_stays_open(channel: grpc.Channel, service: str, expected: str) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service), timeout=20)
    assert health_pb2.HealthCheckResponse.ServingStatus.Name(next(watch).status) == expected
    assert watch.is_active()
    watch.cancel()
