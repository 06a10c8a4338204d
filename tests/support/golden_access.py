"""Calls of a server that restricts some to those who know a key, and hands headers on to the models."""

from dataclasses import replace
from typing import Any

from support.golden_calls import Http, NamedCalls, Stream, Unary, floats, infer, infer_request, text
from tritonclient.grpc import service_pb2 as pb

FLAGS = (
    "--grpc-restricted-protocol=model-repository,shared-memory:admin-key=secret",
    "--grpc-restricted-protocol=health,statistics:other=word",
    "--http-restricted-api=model-repository,shared-memory:admin-key=secret",
    "--http-restricted-api=statistics:other=word",
    "--grpc-header-forward-pattern=x-(.*)",
    "--http-header-forward-pattern=x-(.*)",
)


def access() -> NamedCalls:
    index = Unary(method="RepositoryIndex", request=pb.RepositoryIndexRequest())
    for name, metadata in {
        "no key": (),
        "a wrong key": (("triton-grpc-protocol-admin-key", "guess"),),
        "the key": (("triton-grpc-protocol-admin-key", "secret"),),
        "the key without the prefix": (("admin-key", "secret"),),
        "another group's key": (("triton-grpc-protocol-other", "word"),),
    }.items():
        yield f"index with {name}", replace(index, metadata=metadata)
    for method, request in (
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="plain")),
        ("SystemSharedMemoryStatus", pb.SystemSharedMemoryStatusRequest()),
        ("ModelStatistics", pb.ModelStatisticsRequest(name="plain")),
        ("ServerLive", pb.ServerLiveRequest()),
        ("ModelReady", pb.ModelReadyRequest(name="plain")),
        ("/grpc.health.v1.Health/Check", pb.ServerLiveRequest()),
        ("ServerMetadata", pb.ServerMetadataRequest()),
        ("ModelConfig", pb.ModelConfigRequest(name="nope")),
    ):
        yield f"{method} without a key", Unary(method=method, request=request)
    two = floats("INPUT0", (2,), 1, 2)
    yield "infer without a key", infer("plain", two)
    yield "stream without a key", Stream(requests=(infer_request("plain", two),))
    yield from _http()
    yield from _forwarded()


def _http() -> NamedCalls:
    def index(**headers: str) -> Http:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return Http(method="POST", path="/v2/repository/index", headers=given)

    yield "HTTP index with no key", index()
    yield "HTTP index with a wrong key", index(admin_key="guess")
    yield "HTTP index with the key", index(admin_key="secret")
    yield "HTTP index with the key in capitals", index(ADMIN_KEY="secret")
    yield "HTTP statistics without a key", Http(path="/v2/models/plain/stats")
    yield "HTTP health without a key", Http(path="/v2/health/live")


def _forwarded() -> NamedCalls:
    told = infer("actor", text("parameters"), parameters={"mine": "1"})
    for name, metadata in {
        "one header": (("x-tenant", "blue"),),
        "a header that is not wanted": (("y-tenant", "blue"),),
        "a header and a parameter of its name": (("mine", "2"), ("x-other", "3")),
    }.items():
        yield f"forwarded: {name}", replace(told, metadata=metadata)
    body: dict[str, Any] = {
        "inputs": [{"name": "INPUT0", "shape": [1, 1], "datatype": "BYTES", "data": ["parameters"]}]
    }
    for headers in ({"X-Tenant": "blue"}, {"Y-Tenant": "blue"}):
        yield (
            f"forwarded over HTTP: {headers}",
            Http(method="POST", path="/v2/models/actor/infer", body=body, headers=headers),
        )
