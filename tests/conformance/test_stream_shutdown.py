"""A stream that nobody uses does not keep a server from stopping."""

import queue
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from npuserve._proto import inference_pb2 as pb
from support.served_models import add_identity_model, copy_config
from support.server import serving

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@pytest.mark.parametrize("front_end", ["native", "grpcio"])
def test_an_idle_stream_is_ended_and_the_server_stops_cleanly(tmp_path: Path, front_end: str) -> None:
    add_identity_model(tmp_path, "copy", copy_config("FP32", 2))
    request = pb.ModelInferRequest(model_name="copy", id="a", raw_input_contents=[bytes(8)])
    request.inputs.add(name="x", datatype="FP32", shape=[2])
    never_closed: queue.Queue[None] = queue.Queue()

    def requests() -> Iterator[bytes]:
        yield request.SerializeToString()
        never_closed.get()

    with serving(tmp_path, f"--frontend={front_end}") as server, server.channel() as channel:
        responses = iter(channel.stream_stream(STREAM, None, None)(requests()))
        assert pb.ModelStreamInferResponse.FromString(next(responses)).infer_response.id == "a"
        server.signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            next(responses)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in (caught.value.details() or "")
        assert server.wait() == 0
        never_closed.put(None)
