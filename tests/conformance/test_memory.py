"""What the server keeps of requests that it has answered: nothing."""

import re
from pathlib import Path

import grpc
import pytest
from support.infer_requests import infer, pair_request
from support.served_models import add_model
from support.server import Server, serving

MEBIBYTE = 2**20
REQUEST_BYTES = 32 * MEBIBYTE
REQUESTS = 16


def resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match is not None
    return 1024 * int(match[1])


def test_refused_requests_do_not_pile_up(tmp_path: Path) -> None:
    add_model(tmp_path, "pair")
    large = pair_request(model_name="nope", raw=[bytes(REQUEST_BYTES)])
    with serving(tmp_path) as server, server.channel() as channel:
        for number in range(REQUESTS):
            with pytest.raises(grpc.RpcError, match="unknown model"):
                infer(channel, large)
            if number == 3:  # by now the allocator has what one request after another needs
                settled = resident_bytes(server)
        assert resident_bytes(server) - settled < 4 * REQUEST_BYTES
