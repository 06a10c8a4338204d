"""HTTP requests that are malformed, or that two servers may read differently, as they go over the wire."""

import json

from support.golden_calls import NamedCalls, RawHttp

_BODY = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1, 3], "datatype": "FP32", "data": [1.5, -2, 3]}]}).encode()
_CHUNK = b"%x" % len(_BODY)


def _get(*fields: str, host: str = "Host: here") -> RawHttp:
    return RawHttp(_head("GET /v2/health/live HTTP/1.1", host, *fields))


def _post(*fields: str, body: bytes) -> RawHttp:
    return RawHttp(_head("POST /v2/models/copy_FP32/infer HTTP/1.1", "Host: here", *fields) + body)


def _head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines if line).encode() + b"\r\n"


def heads() -> NamedCalls:
    yield "as it should be", _post(f"Content-Length: {len(_BODY)}", body=_BODY)
    yield "in chunks", _post("Transfer-Encoding: chunked", body=_CHUNK + b"\r\n" + _BODY + b"\r\n0\r\n\r\n")
    yield "no host", _get(host="")
    yield "a space before a colon", _get("Accept : */*")
    yield "a folded line", _get("X-Long: one", " and the other")
    yield "fields without number", _get(*(f"X-{index}: a" for index in range(300)))
    yield "a field of 20 kB", _get("X-Long: " + "a" * 20_000)
    yield "a field of 100 kB", _get("X-Long: " + "a" * 100_000)
    longer = len(_BODY) + 1
    yield "two lengths", _post(f"Content-Length: {len(_BODY)}", f"Content-Length: {longer}", body=_BODY + b" ")
    both = ("Transfer-Encoding: chunked", "Content-Length: 5")
    yield "a length and chunks", _post(*both, body=b"0\r\n\r\n")
    yield "a chunk without a size", _post("Transfer-Encoding: chunked", body=b"zz\r\n" + _BODY)
    yield "a transfer coding that is not chunked", _post("Transfer-Encoding: gzip", body=b"")
