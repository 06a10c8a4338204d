from pathlib import Path

import pytest
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.scan import scan_repositories
from support.identity_backend import IdentityBackend, write_model


async def load(repository: Path, *, auto_complete: bool = True, device_count: int = 1) -> LoadedModel:
    """Load the one version of the one model."""
    (directory,) = scan_repositories([repository]).models.values()
    loader = ModelLoader({"ascend": IdentityBackend(device_count)}, auto_complete=auto_complete)
    return await loader.load(directory, directory.versions[0], loader.read_config(directory))


async def failure(repository: Path, *, auto_complete: bool = True, device_count: int = 1) -> ServeError:
    with pytest.raises(ServeError) as caught:
        await load(repository, auto_complete=auto_complete, device_count=device_count)
    return caught.value


def write_config(repository: Path, text: str) -> None:
    (repository / "m").mkdir(exist_ok=True)
    (repository / "m" / "config.pbtxt").write_text(text)


async def test_a_folder_with_a_model_file_and_no_config_is_enough(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "3" / "model.om")
    loaded = await load(tmp_path)
    assert (loaded.name, loaded.version) == ("m", 3)
    assert (loaded.config.name, loaded.config.backend, loaded.config.max_batch_size) == ("m", "ascend", 8)
    assert loaded.config.HasField("dynamic_batching")
    assert list(loaded.config.input[0].dims) == [4]


async def test_the_executor_gets_the_completed_config(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "bert.om")
    write_config(tmp_path, 'default_model_filename: "bert.om" max_batch_size: 2')
    loaded = await load(tmp_path)
    assert loaded.config.max_batch_size == 2
    assert loaded.config.output[0].name == "y"
    assert loaded.executor.config is loaded.config  # type: ignore[attr-defined]  # the identity executor keeps it


async def test_a_config_is_required_when_nothing_may_be_completed(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    error = await failure(tmp_path, auto_complete=False)
    assert error.message == (
        f"failed to open text file for read {tmp_path / 'm' / 'config.pbtxt'}: No such file or directory"
    )


async def test_without_completion_missing_tensors_are_a_contradiction(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, 'backend: "ascend"')
    error = await failure(tmp_path, auto_complete=False)
    assert error.message == "unable to load model 'm', configuration expects 0 inputs, model provides 1"


async def test_another_name_in_the_config_than_the_folders_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, 'name: "other"')
    assert (await failure(tmp_path)).message == (
        "unexpected directory name 'm' for model 'other', directory name must equal model name"
    )


@pytest.mark.parametrize("text", ['backend: "onnxruntime"', 'platform: "onnxruntime_onnx"'])
async def test_a_backend_that_is_not_there_is_named(tmp_path: Path, text: str) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, text)
    error = await failure(tmp_path)
    assert (error.status, error.message) == (
        StatusCode.INVALID_ARGUMENT,
        "unable to find backend library for backend 'onnxruntime', try specifying runtime on the model configuration.",
    )


async def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    write_config(tmp_path, 'backend: "ascend"')
    error = await failure(tmp_path)
    assert (error.status, error.message) == (
        StatusCode.UNAVAILABLE,
        f"unable to find '{tmp_path / 'm' / '1' / 'model.om'}' for model 'm'",
    )


async def test_a_missing_label_file_is_named(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(
        tmp_path, 'output { name: "y" data_type: TYPE_FP32 dims: 4 label_filename: "labels.txt" } max_batch_size: 8'
    )
    error = await failure(tmp_path)
    assert error.message.endswith("m/labels.txt: No such file or directory")
    (tmp_path / "m" / "labels.txt").write_text("good\nbad\n")
    assert (await load(tmp_path)).config.output[0].label_filename == "labels.txt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 9", "model 'm': the model expects batches of at most 8"),
        ("instance_group { kind: KIND_GPU gpus: 2 }", "specifies invalid or unsupported gpu id 2"),
        ('input { name: "x" data_type: TYPE_FP32 dims: 0 }', "model input 'x' dimension must be integer >= 1"),
        ("max_batch_size: 2 dynamic_batching { preferred_batch_size: 4 }", "preferred size must be <= max batch size"),
    ],
)
async def test_every_check_of_the_config_room_is_made(tmp_path: Path, text: str, message: str) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, text)
    assert message in (await failure(tmp_path, device_count=2)).message


async def test_what_has_no_effect_is_said_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, "model_repository_agents { }")
    await load(tmp_path)
    assert "model 'm': accepted, but without effect: model_repository_agents" in caplog.text


async def test_a_parameter_that_looks_like_a_known_one_is_said_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, 'parameters { key: "bucket_masks" value { string_value: "x" } }')
    await load(tmp_path)
    assert "model 'm': nothing reads parameter 'bucket_masks': is 'bucket_mask' meant?" in caplog.text


async def test_parameters_that_contradict_the_model_fail_the_load(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    write_config(tmp_path, 'parameters { key: "buckets" value { string_value: "on" } }')
    error = await failure(tmp_path)
    assert error.status is StatusCode.INVALID_ARGUMENT
    assert "no input has a length that varies" in error.message


async def test_a_config_that_is_a_link_to_nowhere_is_not_taken_for_none(tmp_path: Path) -> None:
    write_model(tmp_path / "m" / "1" / "model.om")
    (tmp_path / "m" / "config.pbtxt").symlink_to("/no/such/config")
    error = await failure(tmp_path)
    assert error.status is StatusCode.INTERNAL
    assert error.message.endswith("config.pbtxt: No such file or directory")
