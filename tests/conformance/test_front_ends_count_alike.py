"""A fixed load of good and bad requests: what each front end counts; and how its responses are compressed."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from support.h2_client import Answer, call_headers, framed
from support.h2_socket import H2Socket
from support.infer_requests import infer, pair_request
from support.served_models import add_identity_model, copy_config
from support.server import Server, serving
from tritonclient.grpc import service_pb2

SERVICE = "/inference.GRPCInferenceService/"
ROWS = (1, 2, 8, 3)
COLUMNS = 256


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("counted")
    add_identity_model(folder, "copy", copy_config("INT32", COLUMNS, rest="max_batch_size: 8"))
    return folder


@pytest.fixture(scope="module", params=("native", "grpcio"))
def server(repository: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    flags = (f"--frontend={request.param}", "--grpc-infer-response-compression-level=high")
    with serving(repository, *flags) as server:
        yield server


def copy_request(rows: int) -> service_pb2.ModelInferRequest:
    return pair_request(("x", "INT32", (rows, COLUMNS)), model_name="copy")


def statistics(channel: grpc.Channel) -> service_pb2.ModelStatistics:
    call = channel.unary_unary(
        SERVICE + "ModelStatistics",
        service_pb2.ModelStatisticsRequest.SerializeToString,
        service_pb2.ModelStatisticsResponse.FromString,
    )
    [counted] = call(service_pb2.ModelStatisticsRequest(name="copy"), timeout=20).model_stats
    return counted


def infer_on_the_wire(server: Server, accepted: str) -> Answer:
    with H2Socket(server.url) as connection:
        headers = [*call_headers(SERVICE + "ModelInfer"), ("grpc-accept-encoding", accepted)]
        stream_id = connection.client.open(headers)
        connection.client.send(stream_id, framed(copy_request(8).SerializeToString()), end=True)
        return connection.answer(stream_id)


def test_a_load_is_counted_by_request_row_and_execution(server: Server) -> None:
    with server.channel() as channel:
        before = statistics(channel)
        for rows in ROWS:
            assert infer(channel, copy_request(rows)).outputs[0].shape == [rows, COLUMNS]
        with pytest.raises(grpc.RpcError):  # refused before it is accepted: it counts nowhere
            infer(channel, copy_request(9))
        after = statistics(channel)
    assert (after.name, after.version, after.inference_stats.fail.count) == ("copy", "1", 0)
    assert after.inference_count - before.inference_count == sum(ROWS)
    assert after.execution_count - before.execution_count == len(ROWS)
    for part in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        counts = [getattr(counted.inference_stats, part).count for counted in (before, after)]
        assert counts[1] - counts[0] == len(ROWS), part
    assert {batch.batch_size for batch in after.batch_stats} >= set(ROWS)


def test_a_response_is_compressed_for_a_client_that_takes_gzip(server: Server) -> None:
    answer = infer_on_the_wire(server, "identity,gzip")
    assert dict(answer.headers)["grpc-encoding"] == "gzip"
    assert answer.data[0] == 1
    [message] = answer.messages
    assert len(message) < 8 * COLUMNS * 4 / 10
    response = service_pb2.ModelInferResponse.FromString(gzip.decompress(message))
    assert response.raw_output_contents == [bytes(8 * COLUMNS * 4)]
    assert answer.status == (0, "")


def test_a_response_is_left_as_it_is_for_a_client_that_takes_no_other(server: Server) -> None:
    answer = infer_on_the_wire(server, "identity")
    assert dict(answer.headers).get("grpc-encoding", "identity") == "identity"
    assert answer.data[0] == 0
    [message] = answer.messages
    response = service_pb2.ModelInferResponse.FromString(message)
    assert response.raw_output_contents == [bytes(8 * COLUMNS * 4)]
