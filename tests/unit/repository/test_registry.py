import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.repository.states import IndexEntry, reason_of
from support.executions import execute
from support.identity_backend import IdentityBackend, write_model


@pytest.fixture
async def backend() -> IdentityBackend:
    return IdentityBackend()


@pytest.fixture
async def registry(backend: IdentityBackend) -> AsyncIterator[ModelRegistry]:
    registry = ModelRegistry(ModelLoader({"ascend": backend}))
    yield registry
    await registry.close()
    await backend.close()


def write_config(repository: Path, name: str, text: str) -> None:
    (repository / name).mkdir(exist_ok=True)
    (repository / name / "config.pbtxt").write_text(text)


def write_troubled_repository(repository: Path) -> None:
    """One sound model among models that fail in every way."""
    for version in (1, 2, 3):
        write_model(repository / "sound" / str(version) / "model.om")
    write_config(repository, "sound", "version_policy { latest { num_versions: 2 } }")
    for name in ("syntax", "half", "specific"):
        for version in (1, 2):
            write_model(repository / name / str(version) / "model.om")
    write_config(repository, "syntax", "max_batch: 4")
    (repository / "half" / "1" / "model.om").write_text("not a model")
    write_config(repository, "half", "version_policy { all { } }")
    write_config(repository, "specific", "version_policy { specific { versions: [ 9 ] } }")
    (repository / "truncated" / "1").mkdir(parents=True)
    (repository / "truncated" / "1" / "model.om").write_text("")
    (repository / "missing" / "1").mkdir(parents=True)
    write_config(repository, "missing", 'backend: "ascend"')
    (repository / "empty").mkdir()


def answer(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ServeError) as caught:
        call()
    return caught.value.status.name, caught.value.message


async def test_a_loaded_model_computes(tmp_path: Path, registry: ModelRegistry) -> None:
    write_model(tmp_path / "m" / "1" / "model.om", row=(3,))
    await registry.load_all([tmp_path])
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    (output,) = await execute(registry.lookup("m").executor, [Tensor("x", Dtype.FP32, (2, 3), rows.tobytes())], 2)
    assert (output.name, output.shape) == ("y", (2, 3))
    np.testing.assert_array_equal(np.frombuffer(output.data, np.float32).reshape(output.shape), rows)


async def test_no_failing_model_takes_another_with_it(tmp_path: Path, registry: ModelRegistry) -> None:
    write_troubled_repository(tmp_path)
    await registry.load_all([tmp_path])
    assert [loaded.version for loaded in registry.find("sound")] == [2, 3]
    # As in Triton, one version that fails takes the others of its model with it.
    assert not registry.model_ready("half")
    assert not registry.ready()
    assert registry.failures() == {
        "empty": "Invalid model name: Could not determine backend for model 'empty' with no backend in model "
        "configuration. Expected model name of the form 'model.<backend_name>'.",
        "half version 1": f"Invalid argument: failed to load '{tmp_path}/half/1/model.om': not an identity model",
        "missing version 1": f"Unavailable: unable to find '{tmp_path}/missing/1/model.om' for model 'missing'",
        "specific": "at least one version must be available under the version policy of model 'specific'",
        "syntax": f"failed to read text proto from {tmp_path}/syntax/config.pbtxt: line 1, column 1: found "
        "'max_batch', expected a field of ModelConfig (did you mean 'max_batch_size'?)",
        "truncated version 1": f"Invalid argument: failed to load '{tmp_path}/truncated/1/model.om': "
        "not an identity model",
    }


# The texts that Triton 2.51 was seen to answer for a repository like this one.
@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("nope", "", ("NOT_FOUND", "Request for unknown model: 'nope' is not found")),
        ("", "", ("NOT_FOUND", "Request for unknown model: '' is not found")),
        ("syntax", "", ("NOT_FOUND", "Request for unknown model: 'syntax' is not found")),
        ("syntax", "1", ("NOT_FOUND", "Request for unknown model: 'syntax' is not found")),
        ("sound", "1", ("NOT_FOUND", "Request for unknown model: 'sound' version 1 is not found")),
        ("sound", "0", ("NOT_FOUND", "Request for unknown model: 'sound' version 0 is not found")),
        ("sound", "07x", ("NOT_FOUND", "Request for unknown model: 'sound' version 7 is not found")),
        ("specific", "", ("NOT_FOUND", "Request for unknown model: 'specific' has no available versions")),
        ("specific", "1", ("NOT_FOUND", "Request for unknown model: 'specific' version 1 is not found")),
        ("missing", "", ("NOT_FOUND", "Request for unknown model: 'missing' has no available versions")),
        ("missing", "1", ("UNAVAILABLE", "Request for unknown model: 'missing' version 1 is not at ready state")),
        ("half", "1", ("UNAVAILABLE", "Request for unknown model: 'half' version 1 is not at ready state")),
        (
            "nope",
            "abc",
            (
                "INVALID_ARGUMENT",
                "failed to get model version from specified version string 'abc' (details: stol), version should be an "
                "integral value > 0",
            ),
        ),
    ],
)
async def test_what_is_not_served_is_refused_in_tritons_words(
    tmp_path: Path, registry: ModelRegistry, name: str, version: str, expected: tuple[str, str]
) -> None:
    write_troubled_repository(tmp_path)
    await registry.load_all([tmp_path])
    assert answer(lambda: registry.lookup(name, version)) == expected
    if expected[0] != "INVALID_ARGUMENT":
        assert not registry.model_ready(name, version)


async def test_the_highest_ready_version_is_meant_when_none_is_named(tmp_path: Path, registry: ModelRegistry) -> None:
    write_troubled_repository(tmp_path)
    await registry.load_all([tmp_path])
    assert registry.lookup("sound").version == 3
    assert registry.lookup("sound", "2").version == 2
    assert registry.lookup("sound", "03").version == 3
    assert registry.model_ready("sound") and registry.model_ready("sound", "2")
    assert not registry.model_ready("sound", "1") and not registry.model_ready("half", "2")


async def test_model_ready_still_refuses_what_is_no_version(tmp_path: Path, registry: ModelRegistry) -> None:
    await registry.load_all([tmp_path])
    assert answer(lambda: registry.model_ready("m", "-1")) == (
        "INVALID_ARGUMENT",
        "invalid model version specified '-1' , version should be an integral value > 0",
    )


async def test_statistics_are_selected_and_refused_as_triton_does(tmp_path: Path, registry: ModelRegistry) -> None:
    write_troubled_repository(tmp_path)
    await registry.load_all([tmp_path])

    def selected(name: str = "", version: str = "") -> list[tuple[str, int]]:
        return [(loaded.name, loaded.version) for loaded in registry.select_for_statistics(name, version)]

    assert selected() == [("sound", 2), ("sound", 3)]
    assert selected("sound") == [("sound", 2), ("sound", 3)]
    assert selected("sound", "3") == [("sound", 3)]
    for name in ("nope", "syntax", "missing"):
        assert answer(lambda name=name: selected(name)) == (  # type: ignore[misc]  # a default argument binds the name
            "INVALID_ARGUMENT",
            f"requested model '{name}' is not available",
        )
    assert answer(lambda: selected("sound", "1")) == (
        "INVALID_ARGUMENT",
        "requested model version is not available for model 'sound'",
    )


async def test_the_index_lists_versions_with_state_and_reason(tmp_path: Path, registry: ModelRegistry) -> None:
    write_troubled_repository(tmp_path)
    await registry.load_all([tmp_path])
    index = registry.index()
    assert [entry for entry in index if entry.name in ("sound", "syntax", "empty", "specific")] == [
        IndexEntry("empty"),
        IndexEntry("sound", "2", "READY"),
        IndexEntry("sound", "3", "READY"),
        IndexEntry("specific"),
        IndexEntry("syntax"),
    ]
    half, other = [entry for entry in index if entry.name == "half"]
    assert (other.state, other.reason) == ("UNAVAILABLE", "unloaded")
    assert half.state == "UNAVAILABLE" and half.reason.startswith("Invalid argument: failed to load '")
    assert {entry.state for entry in registry.index(ready_only=True)} == {"READY"}


async def test_a_name_in_two_repositories_is_not_found(tmp_path: Path, registry: ModelRegistry) -> None:
    for repository in ("a", "b"):
        write_model(tmp_path / repository / "twice" / "1" / "model.om")
    write_model(tmp_path / "b" / "once" / "1" / "model.om")
    await registry.load_all([tmp_path / "a", tmp_path / "b"])
    assert registry.lookup("once").version == 1
    assert answer(lambda: registry.lookup("twice"))[0] == "NOT_FOUND"
    assert registry.failures() == {"twice": "model appears in two or more repositories"}
    assert IndexEntry("twice", "", "UNAVAILABLE", "model appears in two or more repositories") in registry.index()


@pytest.mark.parametrize(
    ("trouble", "strict", "is_ready"),
    [("none", True, True), ("load", True, False), ("load", False, True), ("config", True, True)],
)
async def test_readiness_counts_models_that_reached_loading(
    tmp_path: Path, backend: IdentityBackend, trouble: str, strict: bool, is_ready: bool
) -> None:
    registry = ModelRegistry(ModelLoader({"ascend": backend}), strict_readiness=strict)
    write_model(tmp_path / "sound" / "1" / "model.om")
    if trouble == "load":
        (tmp_path / "bad" / "1").mkdir(parents=True)
        (tmp_path / "bad" / "1" / "model.om").write_text("")
    if trouble == "config":
        write_config(tmp_path, "bad", "no_such_field: 1")
    assert not registry.ready()
    await registry.load_all([tmp_path])
    assert registry.ready() is is_ready
    assert registry.model_ready("sound")
    await registry.close()


async def test_an_empty_repository_is_ready(tmp_path: Path, registry: ModelRegistry) -> None:
    await registry.load_all([tmp_path])
    assert registry.ready()
    assert registry.index() == []


async def test_versions_load_side_by_side_up_to_the_bound(tmp_path: Path, backend: IdentityBackend) -> None:
    for name in "abcdef":
        write_model(tmp_path / name / "1" / "model.om")
    registry = ModelRegistry(ModelLoader({"ascend": backend}), load_concurrency=3)
    backend.may_load.clear()
    loading = asyncio.create_task(registry.load_all([tmp_path]))
    await backend.until_loading(3)
    states = [entry.state for entry in registry.index()]
    assert states == ["LOADING"] * 6
    assert not registry.ready()
    assert answer(lambda: registry.lookup("a", "1"))[0] == "UNAVAILABLE"
    backend.may_load.set()
    await loading
    assert backend.most_loading == 3
    assert registry.ready()
    await registry.close()


async def test_an_unexpected_error_of_a_backend_stays_with_its_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(IdentityBackend):
        async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
            if "broken" in str(path):
                raise RuntimeError("secret detail")
            return await super().describe(path, config)

    write_model(tmp_path / "broken" / "1" / "model.om")
    write_model(tmp_path / "sound" / "1" / "model.om")
    registry = ModelRegistry(ModelLoader({"ascend": Broken()}))
    await registry.load_all([tmp_path])
    assert registry.model_ready("sound")
    assert registry.failures() == {"broken version 1": "Internal: unexpected error while loading, see the server's log"}
    assert "secret detail" in caplog.text
    await registry.close()


async def test_close_closes_every_executor_once(tmp_path: Path, backend: IdentityBackend) -> None:
    for name in "ab":
        for version in (1, 2):
            write_model(tmp_path / name / str(version) / "model.om")
        write_config(tmp_path, name, "version_policy { all { } }")
    registry = ModelRegistry(ModelLoader({"ascend": backend}))
    await registry.load_all([tmp_path])
    await asyncio.gather(registry.close(), registry.close())
    await registry.close()
    assert [executor.close_calls for executor in backend.executors] == [1, 1, 1, 1]
    assert {(entry.state, entry.reason) for entry in registry.index()} == {("UNAVAILABLE", "unloaded")}
    assert answer(lambda: registry.lookup("a", "1"))[0] == "UNAVAILABLE"
    assert not registry.ready() and not registry.failures()


async def test_close_goes_on_past_an_executor_that_fails(tmp_path: Path, backend: IdentityBackend) -> None:
    for name in "abc":
        write_model(tmp_path / name / "1" / "model.om")
    registry = ModelRegistry(ModelLoader({"ascend": backend}))
    await registry.load_all([tmp_path])

    async def fail() -> None:
        raise ServeError(StatusCode.INTERNAL, "stuck")

    backend.executors[0].close = fail  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        await registry.close()
    assert [str(error) for error in caught.value.exceptions] == ["stuck"]
    assert [executor.close_calls for executor in backend.executors] == [0, 1, 1]


async def test_a_load_that_is_cancelled_gives_back_what_it_loaded(tmp_path: Path, backend: IdentityBackend) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    registry = ModelRegistry(ModelLoader({"ascend": backend}))
    backend.may_load.clear()
    loading = asyncio.create_task(registry.load_all([tmp_path]))
    await backend.until_loading(1)
    loading.cancel()
    await asyncio.sleep(0)
    backend.may_load.set()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert [executor.close_calls for executor in backend.executors] == [1]
    await registry.close()


async def test_a_registry_shows_its_counts(tmp_path: Path, registry: ModelRegistry) -> None:
    write_troubled_repository(tmp_path)
    await registry.load_all([tmp_path])
    assert repr(registry) == "<ModelRegistry models=7 ready_versions=2 failures=6>"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (StatusCode.INVALID_ARGUMENT, "Invalid argument: no\n"),
        (StatusCode.UNAVAILABLE, "Unavailable: no\n"),
        (StatusCode.UNIMPLEMENTED, "Unsupported: no\n"),
        (StatusCode.INTERNAL, "Internal: no\n"),
        (StatusCode.RESOURCE_EXHAUSTED, "Internal: no\n"),
    ],
)
def test_a_reason_names_the_code_as_triton_does(status: StatusCode, text: str) -> None:
    assert reason_of(ServeError(status, "no\n")) == text
