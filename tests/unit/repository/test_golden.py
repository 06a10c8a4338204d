"""The accuracy gate: golden samples beside a model are answered before it is ready."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.migrate.chain.tensors import save_samples
from npuserve.repository.golden import agreement
from npuserve.repository.golden_file import read_golden
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.scan import scan_repositories
from support.repositories import CopyBackend, RecordingExecutor, add_copy_model, make_registry

Arrays = dict[str, npt.NDArray[Any]]
X = np.arange(8, dtype=np.float32).reshape(2, 4)
RIGHT: Arrays = {"input:x": X, "output:y": X}


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }} '


async def load(repository: Path, *samples: Arrays, rest: str = "", backend: CopyBackend | None = None) -> LoadedModel:
    """Load a model that copies `x` to `y`, with these golden samples beside it."""
    folder = add_copy_model(repository, "m", rest)
    if samples:
        save_samples(folder / "1" / "golden.npz", samples)
    (directory,) = scan_repositories([repository]).models.values()
    loader = ModelLoader({"copy": backend or CopyBackend()})
    return await loader.load(directory, 1, loader.read_config(directory))


async def refusal(repository: Path, *samples: Arrays, rest: str = "") -> str:
    """Return why the model is not loaded, without the path of the file."""
    with pytest.raises(ServeError) as caught:
        await load(repository, *samples, rest=rest)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    return caught.value.message.replace(f"'{repository / 'm' / '1' / 'golden.npz'}'", "FILE")


async def test_a_model_that_gives_the_golden_answers_is_loaded_and_tells_how_near_it_came(tmp_path: Path) -> None:
    off: Arrays = {"input:x": X, "output:y": X + np.float32(0.001)}
    loaded = await load(tmp_path, RIGHT, off)
    assert isinstance(loaded.executor, RecordingExecutor)
    assert [request.rows for request in loaded.executor.seen] == [2, 2]
    assert loaded.golden is not None
    assert loaded.golden.max_abs_error == pytest.approx(0.001, rel=1e-3)
    assert 0.999 < loaded.golden.min_cosine < 1
    assert loaded.config.parameters["golden_measured_max_abs_error"].string_value == "0.001"
    assert float(loaded.config.parameters["golden_measured_cosine"].string_value) > 0.999


async def test_without_golden_samples_nothing_is_run_or_told(tmp_path: Path) -> None:
    loaded = await load(tmp_path)
    assert isinstance(loaded.executor, RecordingExecutor)
    assert (loaded.golden, loaded.executor.seen, len(loaded.config.parameters)) == (None, [], 0)


async def test_a_cosine_below_the_limit_fails_the_load_and_names_sample_output_value_and_limit(tmp_path: Path) -> None:
    wrong: Arrays = {"input:x": X, "output:y": X[::-1].copy()}
    assert await refusal(tmp_path, RIGHT, wrong) == (
        "model 'm' does not agree with FILE: output 'y' of sample 1 has cosine 0.542857, golden_min_cosine is 0.999"
    )


async def test_the_limit_is_the_configs(tmp_path: Path) -> None:
    wrong: Arrays = {"input:x": X, "output:y": X[::-1].copy()}
    loaded = await load(tmp_path, wrong, rest=parameter("golden_min_cosine", "0.5"))
    assert loaded.golden is not None and loaded.golden.min_cosine == pytest.approx(0.542857, abs=1e-6)


async def test_an_error_above_its_limit_fails_the_load(tmp_path: Path) -> None:
    off: Arrays = {"input:x": X, "output:y": X + np.float32(0.25)}
    rest = parameter("golden_max_abs_error", "0.2") + parameter("golden_min_cosine", "-1")
    assert await refusal(tmp_path, off, rest=rest) == (
        "model 'm' does not agree with FILE: output 'y' of sample 0 is off by 0.25, golden_max_abs_error is 0.2"
    )


async def test_answers_that_are_no_numbers_are_beyond_any_limit(tmp_path: Path) -> None:
    broken = np.where(X == 0, np.float32("nan"), X)
    told = await refusal(tmp_path, {"input:x": broken, "output:y": X}, rest=parameter("golden_min_cosine", "-1"))
    assert told.endswith("output 'y' of sample 0 has cosine nan, golden_min_cosine is -1")


async def test_what_does_not_agree_is_closed(tmp_path: Path) -> None:
    backend = CopyBackend()
    with pytest.raises(ServeError):
        await load(tmp_path, {"input:x": X, "output:y": -X}, backend=backend)
    assert [executor.close_calls for executor in backend.executors] == [1]


async def test_the_version_that_served_goes_on(tmp_path: Path) -> None:
    registry = make_registry("explicit")
    await registry.load_all([tmp_path])
    folder = add_copy_model(tmp_path, "m")
    await registry.load_model("m")
    add_copy_model(tmp_path, "m", versions=(2,))
    save_samples(folder / "2" / "golden.npz", [{"input:x": X, "output:y": -X}])
    with pytest.raises(ServeError, match="golden_min_cosine is 0"):
        await registry.load_model("m")
    assert registry.lookup("m").version == 1
    await registry.close()


async def test_the_index_says_why_a_model_is_not_served(tmp_path: Path) -> None:
    folder = add_copy_model(tmp_path, "m")
    save_samples(folder / "1" / "golden.npz", [{"input:x": X, "output:y": -X}])
    registry = make_registry("none")
    await registry.load_all([tmp_path])
    (entry,) = registry.index()
    assert entry.state == "UNAVAILABLE"
    assert entry.reason.endswith("output 'y' of sample 0 has cosine -1.000000, golden_min_cosine is 0.999")
    await registry.close()


async def test_a_warning_in_place_of_a_failure_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = await load(tmp_path, {"input:x": X, "output:y": -X}, rest=parameter("golden_action", "warn"))
    assert loaded.golden is not None and loaded.golden.min_cosine == pytest.approx(-1)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "output 'y' of sample 0 has cosine -1.000000, golden_min_cosine is 0.999" in warning.getMessage()


async def test_a_file_that_cannot_be_read_only_warns_too_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "golden.npz").write_bytes(b"no archive")
    loaded = await load(tmp_path, rest=parameter("golden_action", "warn"))
    assert loaded.golden is None and "model 'm' is not checked: cannot read" in caplog.text


async def test_samples_may_be_left_alone(tmp_path: Path) -> None:
    loaded = await load(tmp_path, {"input:x": X, "output:y": -X}, rest=parameter("golden_action", "off"))
    assert isinstance(loaded.executor, RecordingExecutor)
    assert (loaded.golden, loaded.executor.seen) == (None, [])


async def test_limits_without_samples_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await load(tmp_path, rest=parameter("golden_min_cosine", "0.9"))
    assert f"no effect without a '{tmp_path / 'm' / '1' / 'golden.npz'}': golden_min_cosine" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("golden_action", "stop", "must be 'fail', 'warn' or 'off', got 'stop'"),
        ("golden_min_cosine", "2", "must be in -1 to 1, got '2'"),
        ("golden_min_cosine", "near", "must be a number, got 'near'"),
        ("golden_max_abs_error", "-1", "must be 0 or more, got '-1'"),
    ],
)
async def test_wrong_parameters_are_refused_with_or_without_samples(
    tmp_path: Path, key: str, value: str, expected: str
) -> None:
    assert await refusal(tmp_path, rest=parameter(key, value)) == f"model 'm': parameter '{key}' {expected}"


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ({"output:y": X}, "cannot read FILE: sample 0 has no input"),
        ({"input:x": X}, "cannot read FILE: sample 0 has no output"),
        ({"x": X}, "cannot read FILE: key '0/x' is not as '0/input:NAME' or '0/output:NAME'"),
        ({"input:z": X, "output:y": X}, "failed to run sample 0 of FILE: it misses the model's input 'x'"),
        (
            {"input:x": X, "input:z": X, "output:y": X},
            "failed to run sample 0 of FILE: the model has no input 'z'",
        ),
        ({"input:x": X, "output:z": X}, "failed to run sample 0 of FILE: the model has no output 'z'"),
        (
            {"input:x": X, "output:y": X[:1]},
            "failed to run sample 0 of FILE: output 'y' has shape [2,4], expected [1,4]",
        ),
        (
            {"input:x": np.zeros((9, 4), np.float32), "output:y": X},
            "failed to run sample 0 of FILE: the inputs must have one number of rows, at most max_batch_size (4)",
        ),
        (
            {"input:x": np.zeros((3, 4), np.float32), "output:y": X},
            "failed to run sample 0 of FILE: three rows are too many",
        ),
        (
            {"input:x": np.array([["a"]]), "output:y": X},
            "failed to run sample 0 of FILE: input 'x' must be of numbers, got <U1",
        ),
        (
            {"input:x": X, "output:y": np.array(["a"])},
            "failed to run sample 0 of FILE: output 'y' is of texts, which cannot be nearly equal",
        ),
    ],
)
async def test_samples_that_do_not_fit_the_model_fail_the_load(tmp_path: Path, sample: Arrays, expected: str) -> None:
    assert await refusal(tmp_path, sample) == expected


async def test_shapes_that_the_model_cannot_take_fail_the_load_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(executor: RecordingExecutor, request: object) -> None:
        raise ValueError("input 'x': expected shape [2], got [2,4]")

    monkeypatch.setattr(RecordingExecutor, "execute", refuse)
    assert await refusal(tmp_path, RIGHT) == "failed to run sample 0 of FILE: input 'x': expected shape [2], got [2,4]"


async def test_numbers_of_another_type_are_given_to_the_model_in_its_own(tmp_path: Path) -> None:
    loaded = await load(tmp_path, {"input:x": X.astype(np.int64), "output:y": X.astype(np.float64)})
    assert loaded.golden is not None and loaded.golden.max_abs_error == 0


async def test_a_decoupled_model_is_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = await load(tmp_path, RIGHT, rest="model_transaction_policy { decoupled: true }")
    assert loaded.golden is None and "is not run, as the model is decoupled" in caplog.text


def test_what_the_migration_writes_is_read(tmp_path: Path) -> None:
    samples = [{"input:a/b": X, "output:y": X + number} for number in range(12)]
    save_samples(tmp_path / "golden.npz", samples)
    read = read_golden(tmp_path / "golden.npz")
    assert [sample.number for sample in read] == list(range(12))
    assert all(list(sample.inputs) == ["a/b"] and list(sample.outputs) == ["y"] for sample in read)
    assert np.array_equal(read[11].outputs["y"], X + 11)


@pytest.mark.parametrize(
    ("given", "expected", "cosine", "error"),
    [
        ([1.0, 0.0], [0.0, 1.0], 0.0, 1.0),
        ([3.0, 4.0], [6.0, 8.0], 1.0, 4.0),
        ([0.0, 0.0], [0.0, 0.0], 1.0, 0.0),
        ([0.0, 0.0], [0.0, 1.0], 0.0, 1.0),
        ([], [], 1.0, 0.0),
    ],
)
def test_agreement_is_the_cosine_and_the_largest_difference(
    given: list[float], expected: list[float], cosine: float, error: float
) -> None:
    found = agreement(np.array(given), np.array(expected))
    assert found.min_cosine == pytest.approx(cosine)
    assert found.max_abs_error == error
