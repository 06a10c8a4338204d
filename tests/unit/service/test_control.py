"""The repository calls as handlers: what they refuse and what they answer."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from npuserve._proto import inference_pb2 as pb
from npuserve.core.errors import ServeError
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call
from npuserve.service.control import ControlService
from support.repositories import add_copy_model, make_registry


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[ModelRegistry]:
    for name in "ab":
        add_copy_model(tmp_path, name)
    registry = make_registry("explicit", "a")
    await registry.load_all([tmp_path])
    yield registry
    await registry.close()


async def refusal(registry: ModelRegistry, name: str, request: object) -> tuple[str, str]:
    with pytest.raises(ServeError) as caught:
        await ControlService(registry).handlers()[name](request, Call())
    return caught.value.status.name, caught.value.message


async def test_the_index_shows_what_is_on_the_disk_now(registry: ModelRegistry, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "c")
    service = ControlService(registry)
    everything = await service.repository_index(pb.RepositoryIndexRequest(), Call())
    assert [(model.name, model.version, model.state) for model in everything.models] == [
        ("a", "1", "READY"),
        ("b", "", ""),
        ("c", "", ""),
    ]
    ready = await service.repository_index(pb.RepositoryIndexRequest(ready=True), Call())
    assert [model.name for model in ready.models] == ["a"]


@pytest.mark.parametrize(
    ("name", "request_type"),
    [
        ("RepositoryIndex", pb.RepositoryIndexRequest),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest),
    ],
)
async def test_the_name_of_a_repository_is_refused(registry: ModelRegistry, name: str, request_type: type) -> None:
    assert await refusal(registry, name, request_type(repository_name="x")) == (
        "UNIMPLEMENTED",
        "'repository_name' specification is not supported",
    )


async def test_parameters_reach_the_registry_with_their_types(registry: ModelRegistry) -> None:
    load = pb.RepositoryModelLoadRequest(model_name="b")
    load.parameters["config"].int64_param = 1
    assert await refusal(registry, "RepositoryModelLoad", load) == (
        "INVALID_ARGUMENT",
        "invalid value type for load parameter 'config', expected string_param.",
    )
    load.parameters["config"].Clear()
    assert (await refusal(registry, "RepositoryModelLoad", load))[1].endswith("expected string_param.")
    unload = pb.RepositoryModelUnloadRequest(model_name="a")
    unload.parameters["unload_dependents"].string_param = "yes"
    assert (await refusal(registry, "RepositoryModelUnload", unload))[1].endswith("expected bool_param.")
    assert registry.model_ready("a")


async def test_a_model_is_loaded_and_unloaded(registry: ModelRegistry) -> None:
    service = ControlService(registry)
    await service.repository_model_load(pb.RepositoryModelLoadRequest(model_name="b"), Call())
    assert registry.model_ready("b")
    await service.repository_model_unload(pb.RepositoryModelUnloadRequest(model_name="b"), Call())
    assert not registry.model_ready("b")


async def test_a_repository_that_is_away_is_an_error_of_the_call_alone(registry: ModelRegistry, tmp_path: Path) -> None:
    shutil.move(tmp_path, tmp_path.parent / f"{tmp_path.name}-away")
    assert await refusal(registry, "RepositoryIndex", pb.RepositoryIndexRequest()) == (
        "INTERNAL",
        "failed to list the model repositories: No such file or directory",
    )
    assert registry.model_ready("a")
