"""Failures of the device while it serves: the requests concerned are told, the next ones are answered."""

from pathlib import Path

import grpc
import pytest
from support.infer_requests import infer, pair_request
from support.served_models import add_model
from support.server import serving

# The execution that fails: behind those with which a model is warmed up, before the last that the test asks for.
NTH = 20
REQUESTS = 20


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("507015:sync", grpc.StatusCode.INTERNAL, "507015"),
        ("507011", grpc.StatusCode.INTERNAL, "507011"),
        ("507010:sync", grpc.StatusCode.UNAVAILABLE, "507010"),
    ],
)
def test_a_failed_execution_fails_its_request_alone(
    tmp_path: Path, fault: str, code: grpc.StatusCode, said: str
) -> None:
    add_model(tmp_path, "pair")
    rule = f"aclmdlExecuteAsync:{NTH}:{fault}"
    failures: list[grpc.RpcError] = []
    with serving(tmp_path, NPUSERVE_EMULATOR_FAULTS=rule) as server, server.channel() as channel:
        for index in range(REQUESTS):
            try:
                assert infer(channel, pair_request(id=str(index))).id == str(index)
            except grpc.RpcError as error:
                failures.append(error)
        server.signal()
        assert server.wait() == 0
    assert [(error.code(), said in str(error.details())) for error in failures] == [(code, True)]
    if code is grpc.StatusCode.INTERNAL:
        assert any("'pair' failed" in line and said in line for line in server.lines), "".join(server.lines)


def test_a_model_that_does_not_fit_the_device_is_refused_with_the_size(tmp_path: Path) -> None:
    add_model(tmp_path, "pair")
    with (
        serving(tmp_path, "--exit-on-error=false", NPUSERVE_EMULATOR_MEMORY_BYTES="4096") as server,
        server.channel() as channel,
    ):
        with pytest.raises(grpc.RpcError) as caught:
            infer(channel, pair_request())
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert any("model 'pair' needs 1 MiB on device 0" in line for line in server.lines), "".join(server.lines)
