"""Loading and unloading while a server runs, as clients ask for it. Texts and codes are those seen of Triton 2.51."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.tensor import Tensor
from npuserve.repository.overrides import LoadParameter
from npuserve.repository.registry import ModelRegistry
from support.executions import execute
from support.repositories import CopyBackend, add_copy_model, make_registry, until

POLL_FAILURE = "failed to load '{}', failed to poll from model repository"
NO_CONTROL = ("UNAVAILABLE", "explicit model load / unload is not allowed if polling is enabled")


@pytest.fixture
async def backend() -> CopyBackend:
    return CopyBackend()


@pytest.fixture
async def registry(backend: CopyBackend, tmp_path: Path) -> AsyncIterator[ModelRegistry]:
    registry = make_registry("explicit", backend=backend)
    await registry.load_all([tmp_path])
    yield registry
    await registry.close()
    assert [executor.close_calls for executor in backend.executors] == [1] * len(backend.executors)


def config_of(**changes: object) -> str:
    tensor = {"data_type": "TYPE_FP32", "dims": [4]}
    config = {"backend": "copy", "max_batch_size": 4, "input": [{"name": "x", **tensor}]}
    return json.dumps({**config, "output": [{"name": "y", **tensor}], **changes})


async def refusal(
    registry: ModelRegistry, name: str, parameters: Mapping[str, LoadParameter] | None = None
) -> tuple[str, str]:
    with pytest.raises(ServeError) as caught:
        await registry.load_model(name, parameters)
    return caught.value.status.name, caught.value.message


def states(registry: ModelRegistry, name: str) -> dict[str, tuple[str, str]]:
    return {entry.version: (entry.state, entry.reason) for entry in registry.index() if entry.name == name}


async def until_closed(registry: ModelRegistry, backend: CopyBackend) -> None:
    """Wait until the first executor is closed and the table says so."""
    entries = [entry for model in registry.models.values() for entry in model.versions.values()]
    await until(
        registry,
        lambda: backend.executors[0].close_calls > 0 and all(entry.state != "UNLOADING" for entry in entries),
    )


async def test_nothing_is_loaded_before_it_is_asked_for(registry: ModelRegistry, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m")
    await registry.refresh_index()
    assert registry.ready() and not registry.model_ready("m")
    assert states(registry, "m") == {"": ("", "")}
    await registry.load_model("m")
    assert states(registry, "m") == {"1": ("READY", "")}


@pytest.mark.parametrize(("given", "expected"), [(("a",), ["a"]), (("*",), ["a", "b"]), (("b", "b"), ["b"])])
async def test_the_models_named_at_start_are_loaded(
    tmp_path: Path, given: tuple[str, ...], expected: list[str]
) -> None:
    for name in "ab":
        add_copy_model(tmp_path, name)
    registry = make_registry("explicit", *given)
    await registry.load_all([tmp_path])
    assert [ready[0].name for ready in registry.ready_models()] == expected
    await registry.close()


async def test_a_model_named_at_start_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    registry = make_registry("explicit", "nope")
    await registry.load_all([tmp_path])
    assert registry.failures() == {"nope": POLL_FAILURE.format("nope")}
    await registry.close()


@pytest.mark.parametrize("mode", ["none", "poll"])
async def test_other_modes_refuse_to_load_and_to_unload(tmp_path: Path, mode: str) -> None:
    add_copy_model(tmp_path, "m")
    registry = make_registry(mode)
    await registry.load_all([tmp_path])
    assert await refusal(registry, "m") == NO_CONTROL
    with pytest.raises(ServeError) as caught:
        await registry.unload_model("m")
    assert (caught.value.status.name, caught.value.message) == NO_CONTROL
    assert registry.model_ready("m")
    await registry.close()


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("nope", {}, ("INTERNAL", POLL_FAILURE.format("nope"))),
        ("m", {"config": "{nope"}, ("INTERNAL", POLL_FAILURE.format("m"))),
        ("m", {"config": '{"no_such": 1}'}, ("INTERNAL", POLL_FAILURE.format("m"))),
        ("m", {"config": "[" * 100_000}, ("INTERNAL", POLL_FAILURE.format("m"))),
        ("m", {"config": config_of(name="other")}, ("INTERNAL", POLL_FAILURE.format("m"))),
        ("m", {"file:1/x": b""}, ("INTERNAL", POLL_FAILURE.format("m"))),
        ("m", {"foo": "x"}, ("INVALID_ARGUMENT", "unrecognized load parameter 'foo'.")),
        (
            "m",
            {"config": True},
            ("INVALID_ARGUMENT", "invalid value type for load parameter 'config', expected string_param."),
        ),
        (
            "m",
            {"config": "{}", "file:1/x": "text"},
            ("INVALID_ARGUMENT", "invalid value type for load parameter 'file:1/x', expected bytes_param."),
        ),
        ("", {}, ("INVALID_ARGUMENT", "Model name cannot be empty. Please enter a valid name to deploy.")),
        (
            "../m",
            {},
            (
                "INVALID_ARGUMENT",
                "invalid model name '../m', model name must not contain path traversal characters",
            ),
        ),
    ],
)
async def test_a_load_that_cannot_be_is_refused_and_what_serves_goes_on(
    registry: ModelRegistry,
    tmp_path: Path,
    name: str,
    parameters: dict[str, LoadParameter],
    expected: tuple[str, str],
) -> None:
    add_copy_model(tmp_path, "m")
    await registry.load_model("m")
    served = registry.lookup("m")
    assert await refusal(registry, name, parameters) == expected
    assert registry.lookup("m") is served and registry.ready()


@pytest.mark.parametrize(
    "path", ["model", "", "1/../x", "1//x", "../1/x", "/1/x", "1/", "01/x", "v/x", "1/./x", "1/a\0b", "9" * 30 + "/x"]
)
async def test_a_file_stays_within_its_models_folder(registry: ModelRegistry, path: str) -> None:
    status, message = await refusal(registry, "m", {"config": config_of(), f"file:{path}": b""})
    assert (status, message.startswith(f"invalid load parameter 'file:{path}'")) == ("INVALID_ARGUMENT", True)


async def test_a_load_that_fails_says_why_and_leaves_what_serves(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = add_copy_model(tmp_path, "m")
    await registry.load_model("m")
    served = registry.lookup("m")
    (folder / "1" / "broken").touch()
    assert await refusal(registry, "m") == (
        "INVALID_ARGUMENT",
        "load failed for model 'm': version 1 is at UNAVAILABLE state: Invalid argument: broken version of 'm';\n",
    )
    assert registry.lookup("m") is served and states(registry, "m") == {"1": ("READY", "")} and registry.ready()
    (folder / "config.pbtxt").write_text("syntax {")
    assert await refusal(registry, "m") == ("INTERNAL", POLL_FAILURE.format("m"))
    assert registry.lookup("m") is served


async def test_a_first_load_that_fails_is_in_the_index_also_once_unloaded(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = add_copy_model(tmp_path, "m", "version_policy { all { } }", versions=(1, 2))
    (folder / "1" / "broken").touch()
    await registry.refresh_index()
    await refusal(registry, "m")
    failed = {"1": ("UNAVAILABLE", "Invalid argument: broken version of 'm'"), "2": ("UNAVAILABLE", "unloaded")}
    assert states(registry, "m") == failed and not registry.ready()
    await registry.unload_model("m")
    assert states(registry, "m") == failed and not registry.ready()
    (folder / "1" / "broken").unlink()
    await registry.load_model("m")
    assert states(registry, "m") == {"1": ("READY", ""), "2": ("READY", "")} and registry.ready()


async def test_a_model_without_a_version_to_load_says_so(registry: ModelRegistry, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m", "version_policy { specific { versions: [ 7 ] } }")
    assert await refusal(registry, "m") == (
        "INVALID_ARGUMENT",
        "load failed for model 'm': at least one version must be available under the version policy of model 'm'\n",
    )


async def test_an_unchanged_model_is_not_loaded_again(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = add_copy_model(tmp_path, "m")
    await registry.load_model("m")
    served = registry.lookup("m")
    await registry.load_model("m")
    assert registry.lookup("m") is served
    os.utime(folder / "config.pbtxt", ns=(1, 1))
    await registry.load_model("m")
    assert registry.lookup("m") is not served


async def test_a_new_version_takes_over_and_the_old_is_unloaded(
    registry: ModelRegistry, backend: CopyBackend, tmp_path: Path
) -> None:
    folder = add_copy_model(tmp_path, "m")
    await registry.load_model("m")
    (folder / "2").mkdir()
    backend.may_load.clear()
    loading = asyncio.create_task(registry.load_model("m"))
    await backend.until_loading(1)
    assert registry.lookup("m").version == 1
    backend.may_load.set()
    await loading
    assert registry.lookup("m").version == 2
    await until_closed(registry, backend)
    assert states(registry, "m") == {"1": ("UNAVAILABLE", "unloaded"), "2": ("READY", "")}


async def test_versions_that_stay_as_they_are_keep_their_executors(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = add_copy_model(tmp_path, "m", "version_policy { all { } }")
    await registry.load_model("m")
    served = registry.lookup("m")
    (folder / "2").mkdir()
    await registry.load_model("m")
    assert [loaded is served for loaded in registry.find("m")] == [True, False]


async def test_what_found_the_old_version_is_answered_before_it_closes(
    registry: ModelRegistry, backend: CopyBackend, tmp_path: Path
) -> None:
    add_copy_model(tmp_path, "m")
    await registry.load_model("m")
    old = registry.lookup("m")
    with old.leases.hold():
        await registry.load_model("m", {"config": config_of()})
        assert registry.lookup("m") is not old
        for _ in range(20):
            await asyncio.sleep(0)
        assert old.leases.is_ended and not backend.executors[0].close_calls
        row = Tensor("x", Dtype.FP32, (1, 4), bytes(16))
        assert len(await execute(old.executor, [row], 1)) == 1
    await until_closed(registry, backend)


async def test_a_config_that_a_client_gave_holds_until_the_folder_changes(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = add_copy_model(tmp_path, "m")
    await registry.load_model("m", {"config": config_of(max_batch_size=2)})
    overridden = registry.lookup("m")
    assert overridden.config.max_batch_size == 2
    await registry.load_model("m")
    assert registry.lookup("m") is overridden
    os.utime(folder / "config.pbtxt", ns=(1, 1))
    await registry.load_model("m")
    assert registry.lookup("m").config.max_batch_size == 4


async def test_a_config_that_a_client_gave_is_gone_after_an_unload(registry: ModelRegistry, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m")
    await registry.load_model("m", {"config": config_of(max_batch_size=2)})
    await registry.unload_model("m")
    await registry.load_model("m")
    assert registry.lookup("m").config.max_batch_size == 4


async def test_every_load_with_a_config_loads_anew(registry: ModelRegistry, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m")
    await registry.load_model("m", {"config": config_of(max_batch_size=2)})
    first = registry.lookup("m")
    await registry.load_model("m", {"config": config_of(max_batch_size=2)})
    assert registry.lookup("m") is not first


async def test_a_model_of_files_that_a_client_gave_serves_unlisted_and_leaves_no_file(
    registry: ModelRegistry, backend: CopyBackend
) -> None:
    await registry.load_model("fresh", {"config": config_of(), "file:3/a/weights": b"bytes"})
    loaded = registry.lookup("fresh")
    assert loaded.version == 3 and registry.index() == []
    await registry.refresh_index()
    assert registry.index() == []
    scratch = registry.models["fresh"].source
    assert scratch is not None
    weights = scratch.directory.version_path(3) / "a" / "weights"
    assert weights.read_bytes() == b"bytes"
    assert await refusal(registry, "fresh") == ("INTERNAL", POLL_FAILURE.format("fresh"))
    assert registry.lookup("fresh") is loaded
    await registry.unload_model("fresh")
    await until_closed(registry, backend)
    assert not weights.exists()


async def test_files_that_do_not_load_leave_none_behind(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path.parent / f"{tmp_path.name}-scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    status, _ = await refusal(registry, "m", {"config": config_of(), "file:1/broken": b""})
    assert status == "INVALID_ARGUMENT" and not list(scratch.iterdir())


async def test_an_unload_answers_at_once_and_ends_in_unloaded(
    registry: ModelRegistry, backend: CopyBackend, tmp_path: Path
) -> None:
    add_copy_model(tmp_path, "m")
    await registry.refresh_index()
    await registry.load_model("m")
    loaded = registry.lookup("m")
    with loaded.leases.hold():
        await registry.unload_model("m")
        assert states(registry, "m") == {"1": ("UNLOADING", "")} and not registry.ready()
    await until_closed(registry, backend)
    assert states(registry, "m") == {"1": ("UNAVAILABLE", "unloaded")} and registry.ready()


async def test_what_is_not_loaded_can_be_unloaded(registry: ModelRegistry) -> None:
    await registry.unload_model("nope", {"whatever": "x"})
    with pytest.raises(ServeError) as caught:
        await registry.unload_model("nope", {"unload_dependents": "yes"})
    assert caught.value.message == "invalid value type for 'unload_dependents' parameter, expected bool_param."


async def test_loads_of_one_model_follow_each_other_and_of_others_run_beside(
    registry: ModelRegistry, backend: CopyBackend, tmp_path: Path
) -> None:
    for name in "ab":
        add_copy_model(tmp_path, name)
    backend.may_load.clear()
    loads = [asyncio.create_task(registry.load_model(name)) for name in "aab"]
    await backend.until_loading(2)
    assert backend.most_loading == 2
    backend.may_load.set()
    await asyncio.gather(*loads)
    assert len(backend.executors) == 2  # the second load of `a` found it loaded


async def test_a_load_goes_on_when_its_caller_is_gone(
    registry: ModelRegistry, backend: CopyBackend, tmp_path: Path
) -> None:
    add_copy_model(tmp_path, "m")
    backend.may_load.clear()
    load = asyncio.create_task(registry.load_model("m"))
    await backend.until_loading(1)
    load.cancel()
    await asyncio.wait([load])
    backend.may_load.set()
    await until(registry, lambda: registry.model_ready("m"))


async def test_a_server_that_stops_loads_nothing_more(backend: CopyBackend, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m")
    registry = make_registry("explicit", backend=backend)
    await registry.load_all([tmp_path])
    backend.may_load.clear()
    load = asyncio.create_task(registry.load_model("m"))
    await backend.until_loading(1)
    closing = asyncio.create_task(registry.close())
    await asyncio.sleep(0)
    backend.may_load.set()
    await closing
    await asyncio.wait([load])
    assert load.cancelled() and [executor.close_calls for executor in backend.executors] == [1]
    assert (await refusal(registry, "m"))[0] == "UNAVAILABLE"


async def test_a_load_is_tried_again_as_often_as_the_server_was_told(backend: CopyBackend, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m")
    registry = make_registry("explicit", backend=backend, retries=2)
    await registry.load_all([tmp_path])
    backend.failures_left = 3
    assert (await refusal(registry, "m"))[0] == "INVALID_ARGUMENT"
    backend.failures_left = 2
    await registry.load_model("m")
    await registry.close()
