"""The repositories are followed: what is new, has changed or is gone."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from npuserve.config.control_options import ControlOptions
from npuserve.repository.loading import ModelLoader
from npuserve.repository.polling import look, plan_poll
from npuserve.repository.registry import ModelRegistry
from support.repositories import CopyBackend, add_copy_model, add_ensemble, make_registry, until


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[ModelRegistry]:
    add_copy_model(tmp_path, "m")
    registry = make_registry("poll")
    await registry.load_all([tmp_path])
    yield registry
    await registry.close()


async def test_what_has_not_changed_goes_on(registry: ModelRegistry) -> None:
    served = registry.lookup("m")
    await registry.poll_once()
    assert registry.lookup("m") is served


async def test_new_models_and_versions_are_loaded(registry: ModelRegistry, tmp_path: Path) -> None:
    add_copy_model(tmp_path, "new")
    (tmp_path / "m" / "2").mkdir()
    await registry.poll_once()
    assert registry.model_ready("new") and registry.lookup("m").version == 2


async def test_a_changed_config_is_loaded_and_an_invalid_one_leaves_what_serves(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    add_copy_model(tmp_path, "m", "dynamic_batching { }")
    await registry.poll_once()
    served = registry.lookup("m")
    assert served.config.HasField("dynamic_batching")
    add_copy_model(tmp_path, "m", "syntax {")
    await registry.poll_once()
    assert registry.lookup("m") is served and registry.ready() and not registry.failures()
    add_copy_model(tmp_path, "m")
    await registry.poll_once()
    assert registry.lookup("m") is not served


async def test_a_version_that_fails_to_load_leaves_what_serves(registry: ModelRegistry, tmp_path: Path) -> None:
    served = registry.lookup("m")
    (tmp_path / "m" / "2").mkdir()
    (tmp_path / "m" / "2" / "broken").touch()
    await registry.poll_once()
    assert registry.lookup("m") is served and registry.ready()


async def test_a_removed_model_is_unloaded_and_leaves_the_index(registry: ModelRegistry, tmp_path: Path) -> None:
    add_ensemble(tmp_path, "above", "m")
    await registry.poll_once()
    assert registry.model_ready("above")
    shutil.rmtree(tmp_path / "m")
    await registry.poll_once()
    assert not registry.ready_models()
    assert [entry.name for entry in registry.index()] == ["above"]


async def test_an_ensemble_that_lacked_a_step_is_loaded_when_it_comes(registry: ModelRegistry, tmp_path: Path) -> None:
    add_ensemble(tmp_path, "above", "late")
    await registry.poll_once()
    assert not registry.model_ready("above")
    add_copy_model(tmp_path, "late")
    await registry.poll_once()
    assert registry.model_ready("above")


async def test_a_second_folder_of_a_name_leaves_what_serves(registry: ModelRegistry, tmp_path: Path) -> None:
    other = tmp_path.parent / f"{tmp_path.name}-other"
    other.mkdir()
    both = make_registry("poll")
    await both.load_all([tmp_path, other])
    shutil.copytree(tmp_path / "m", other / "m")
    await both.poll_once()
    assert both.model_ready("m")
    assert [entry.reason for entry in both.index()] == ["model appears in two or more repositories"]
    await both.close()


async def test_the_poll_runs_by_itself_until_the_close(tmp_path: Path) -> None:
    control = ControlOptions(mode="poll", poll_secs=0.001)
    registry = ModelRegistry(ModelLoader({"copy": CopyBackend()}), control=control)
    await registry.load_all([tmp_path])
    add_copy_model(tmp_path, "m")
    await until(registry, lambda: registry.model_ready("m"))
    await registry.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_poll_that_fails_does_not_end_the_following(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    control = ControlOptions(mode="poll", poll_secs=0.001)
    repository = tmp_path / "repository"
    add_copy_model(repository, "m")
    registry = ModelRegistry(ModelLoader({"copy": CopyBackend()}), control=control)
    await registry.load_all([repository])
    repository.rename(tmp_path / "away")
    async with asyncio.timeout(10):
        while "failed to poll the model repositories" not in caplog.text:  # noqa: ASYNC110  # a log has no events
            await asyncio.sleep(0.001)
    add_copy_model(tmp_path / "away", "new")
    (tmp_path / "away").rename(repository)
    await until(registry, lambda: registry.model_ready("new"))
    assert registry.model_ready("m")
    await registry.close()


def test_a_plan_names_what_to_do_and_does_nothing(tmp_path: Path) -> None:
    for name in ("same", "touched", "gone"):
        add_copy_model(tmp_path, name)
    before = look([tmp_path])
    os.utime(tmp_path / "touched" / "config.pbtxt", ns=(1, 1))
    shutil.rmtree(tmp_path / "gone")
    add_copy_model(tmp_path, "new")
    (tmp_path / "same" / "1" / "__pycache__").mkdir()
    (tmp_path / "same" / "1" / "__pycache__" / "model.pyc").touch()
    plan = plan_poll(before, look([tmp_path]))
    assert ([directory.name for directory in plan.load], plan.remove) == (["new", "touched"], ("gone",))
