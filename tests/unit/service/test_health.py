"""grpc.health.v1: Check for the whole server, Watch for it and for each model."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest
from npuserve._proto import health_pb2
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call
from npuserve.service.health import HealthService
from support.repositories import add_copy_model, make_registry

Responses = AsyncGenerator[health_pb2.HealthCheckResponse]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[ModelRegistry]:
    add_copy_model(tmp_path, "m")
    registry = make_registry("explicit")
    await registry.load_all([tmp_path])
    yield registry
    await registry.close()


def watch(registry: ModelRegistry, service: str) -> Responses:
    async def requests() -> AsyncIterator[health_pb2.HealthCheckRequest]:
        yield health_pb2.HealthCheckRequest(service=service)

    return cast(Responses, HealthService(registry).watch(requests(), Call()))


async def following(responses: Responses) -> str:
    return health_pb2.HealthCheckResponse.ServingStatus.Name((await anext(responses)).status)


@pytest.mark.parametrize("service", ["m", "m/1"])
async def test_a_watch_follows_a_model_through_its_life(registry: ModelRegistry, service: str) -> None:
    async with aclosing(watch(registry, service)) as responses:
        assert await following(responses) == "SERVICE_UNKNOWN"
        await registry.load_model("m")
        assert await following(responses) == "SERVING"
        await registry.unload_model("m")
        assert await following(responses) == "NOT_SERVING"


async def test_a_reload_is_no_change_of_state(registry: ModelRegistry, tmp_path: Path) -> None:
    await registry.load_model("m")
    async with aclosing(watch(registry, "m")) as responses:
        assert await following(responses) == "SERVING"
        add_copy_model(tmp_path, "m", "dynamic_batching { }")
        await registry.load_model("m")
        registry.begin_close()
        assert await following(responses) == "NOT_SERVING"


@pytest.mark.parametrize("service", ["m/7", "m"])
async def test_a_model_that_does_not_serve_is_known(registry: ModelRegistry, service: str) -> None:
    await registry.load_model("m")
    if service == "m":
        await registry.unload_model("m")
    async with aclosing(watch(registry, service)) as responses:
        assert await following(responses) == "NOT_SERVING"


@pytest.mark.parametrize(
    ("service", "expected"),
    [("", ["SERVING", "NOT_SERVING"]), ("no", ["SERVICE_UNKNOWN"]), ("m/x", ["SERVICE_UNKNOWN"])],
)
async def test_a_watch_ends_with_the_server(registry: ModelRegistry, service: str, expected: list[str]) -> None:
    await registry.load_model("m")
    seen: list[str] = []
    async for response in watch(registry, service):
        seen.append(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
        registry.begin_close()
    assert seen == expected


async def test_a_watch_that_is_closed_is_forgotten(registry: ModelRegistry) -> None:
    responses = watch(registry, "")
    await following(responses)
    assert len(registry._watchers) == 1
    await responses.aclose()
    assert not registry._watchers
