"""Ensembles need their steps: order, refusals, what an unload takes along. Texts are those seen of Triton 2.51."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from npuserve.core.errors import ServeError
from npuserve.repository.registry import ModelRegistry
from support.repositories import CopyBackend, add_copy_model, add_ensemble, make_registry, until


@pytest.fixture
async def backend() -> CopyBackend:
    return CopyBackend()


@pytest.fixture
async def registry(backend: CopyBackend, tmp_path: Path) -> AsyncIterator[ModelRegistry]:
    for name in ("a", "b"):
        add_copy_model(tmp_path, name)
    add_ensemble(tmp_path, "pair", "a", "b")
    add_ensemble(tmp_path, "nested", "pair", "a")
    registry = make_registry("explicit", backend=backend)
    await registry.load_all([tmp_path])
    yield registry
    await registry.close()


def served(registry: ModelRegistry) -> list[str]:
    return [ready[0].name for ready in registry.ready_models()]


async def refusal(registry: ModelRegistry, name: str) -> str:
    with pytest.raises(ServeError) as caught:
        await registry.load_model(name)
    assert caught.value.status.name == "INVALID_ARGUMENT"
    return caught.value.message.removeprefix(f"load failed for model '{name}': ").removesuffix("\n")


async def test_loading_an_ensemble_loads_its_steps_before_it(registry: ModelRegistry, backend: CopyBackend) -> None:
    await registry.load_model("nested")
    assert served(registry) == ["a", "b", "nested", "pair"]
    order = [executor.config.name for executor in backend.executors]
    assert sorted(order[:2]) == ["a", "b"] and order[2:] == ["pair", "nested"]


async def test_at_start_too_steps_are_loaded_first(tmp_path: Path, backend: CopyBackend) -> None:
    add_ensemble(tmp_path, "a_first", "z_last")
    add_copy_model(tmp_path, "z_last")
    registry = make_registry("none", backend=backend)
    await registry.load_all([tmp_path])
    assert [executor.config.name for executor in backend.executors] == ["z_last", "a_first"]
    assert not registry.failures()
    await registry.close()


async def test_steps_that_serve_are_not_loaded_again(registry: ModelRegistry, backend: CopyBackend) -> None:
    await registry.load_model("a")
    await registry.load_model("pair")
    assert [executor.config.name for executor in backend.executors] == ["a", "b", "pair"]


async def test_what_is_missing_is_named(registry: ModelRegistry, tmp_path: Path) -> None:
    add_ensemble(tmp_path, "bad", "a", "zzz")
    assert await refusal(registry, "bad") == "ensemble bad contains models that are not available or ambiguous: zzz"
    assert not registry.model_ready("bad") and registry.ready()


async def test_why_a_step_failed_is_told(registry: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "b" / "1" / "broken").touch()
    assert await refusal(registry, "nested") == (
        "ensemble 'nested' depends on 'pair' which has no loaded version. Model 'pair' loading failed with error: "
        "ensemble 'pair' depends on 'b' which has no loaded version. Model 'b' loading failed with error: version 1 is "
        "at UNAVAILABLE state: Invalid argument: broken version of 'b';"
    )
    assert served(registry) == ["a"]


async def test_a_version_that_a_step_asks_for_must_be_loaded(registry: ModelRegistry, tmp_path: Path) -> None:
    add_ensemble(tmp_path, "second", "a", version=2)
    assert (
        await refusal(registry, "second") == "ensemble 'second' depends on 'a' whose required version 2 is not loaded."
    )


async def test_ensembles_that_need_each_other_are_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    for name, step in (("one", "two"), ("two", "three"), ("three", "one"), ("self", "self")):
        add_ensemble(tmp_path, name, step)
    circle = "circular dependency between ensembles: one -> ... -> three -> one"
    assert await refusal(registry, "one") == circle
    assert (await refusal(registry, "self")).startswith("circular dependency between ensembles: self -> ... -> ")


async def test_circles_at_start_leave_the_others_be(registry: ModelRegistry, tmp_path: Path) -> None:
    for name, step in (("one", "two"), ("two", "one"), ("above", "one")):
        add_ensemble(tmp_path, name, step)
    everything = make_registry("none")
    await everything.load_all([tmp_path])
    assert served(everything) == ["a", "b", "nested", "pair"]
    assert sorted(everything.failures()) == ["above", "one", "two"]
    await everything.close()


async def test_unloading_a_step_takes_its_ensembles_down(registry: ModelRegistry) -> None:
    await registry.load_model("nested")
    await registry.unload_model("b")
    assert served(registry) == ["a"]
    await until(registry, lambda: registry.ready())
    down = {entry.name: (entry.state, entry.reason) for entry in registry.index()}
    assert down["pair"] == down["nested"] == down["b"] == ("UNAVAILABLE", "unloaded")
    await registry.load_model("nested")
    assert served(registry) == ["a", "b", "nested", "pair"]


async def test_steps_stay_unless_the_unload_asks_for_them(registry: ModelRegistry) -> None:
    await registry.load_model("nested")
    await registry.unload_model("nested")
    assert served(registry) == ["a", "b", "pair"]


async def test_steps_that_nobody_asked_for_by_name_are_unloaded_with_their_ensemble(registry: ModelRegistry) -> None:
    await registry.load_model("a")
    await registry.load_model("nested")
    await registry.unload_model("nested", {"unload_dependents": True})
    assert served(registry) == ["a"]


async def test_steps_that_another_ensemble_needs_stay(registry: ModelRegistry, tmp_path: Path) -> None:
    add_ensemble(tmp_path, "other", "a")
    await registry.load_model("other")
    await registry.load_model("nested")
    await registry.unload_model("nested", {"unload_dependents": True})
    assert served(registry) == ["a", "other"]


async def test_an_ensemble_is_built_anew_when_its_step_changes(registry: ModelRegistry, tmp_path: Path) -> None:
    await registry.load_model("pair")
    before = registry.lookup("pair")
    add_copy_model(tmp_path, "a", "dynamic_batching { }")
    await registry.load_model("a")
    assert registry.lookup("pair") is not before


async def test_an_ensemble_whose_changed_step_no_longer_fits_is_taken_down_until_it_does(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    await registry.load_model("pair")
    (tmp_path / "pair" / "1" / "broken").touch()  # stands for wiring that does not fit
    add_copy_model(tmp_path, "a", "dynamic_batching { }")
    await registry.load_model("a")
    assert served(registry) == ["a", "b"]
    (tmp_path / "pair" / "1" / "broken").unlink()
    add_copy_model(tmp_path, "a")
    await registry.load_model("a")
    assert served(registry) == ["a", "b", "pair"]
