from collections.abc import Callable
from pathlib import Path

import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.triton import Planned, plan_migration

Model = Callable[..., Path]
ONNX = 'platform: "onnxruntime_onnx" max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }'


def planned(repository: Path) -> dict[str, Planned]:
    return {each.name: each for each in plan_migration(repository)}


def test_graphs_are_converted_and_scripts_copied(repository: Path, model: Model) -> None:
    model("bert", ONNX)
    model("old_bert", 'backend: "onnxruntime"')
    model(
        "scripted",
        'platform: "pytorch_libtorch" input { name: "INPUT__0" data_type: TYPE_FP32 dims: [ 4 ] }',
        file="model.pt",
    )
    model("tokens", 'backend: "python"', file="model.py")
    found = planned(repository)
    assert [(each.name, each.action, each.source) for each in found.values()] == [
        ("bert", "convert", "onnx"),
        ("old_bert", "convert", "onnx"),
        ("scripted", "convert", "torchscript"),
        ("tokens", "copy", ""),
    ]
    assert found["bert"].model_file(1) == repository / "bert" / "1" / "model.onnx"


def test_a_model_without_a_config_is_known_by_its_file(repository: Path, model: Model) -> None:
    (model("bert", "") / "config.pbtxt").unlink()
    assert planned(repository)["bert"].action == "convert"


@pytest.mark.parametrize(
    ("policy", "versions", "left"),
    [
        ("", (10,), (2, 3)),
        ("version_policy { latest { num_versions: 2 } }", (3, 10), (2,)),
        ("version_policy { all {} }", (2, 3, 10), ()),
        ("version_policy { specific { versions: [ 2 ] } }", (2,), (3, 10)),
    ],
)
def test_the_served_versions_are_converted_and_the_others_named(
    repository: Path, model: Model, policy: str, versions: tuple[int, ...], left: tuple[int, ...]
) -> None:
    model("bert", ONNX + policy, 2, 3, 10)
    found = planned(repository)["bert"]
    assert found.versions == versions
    assert found.notes == tuple(f"version {each} is not served by version_policy, and left behind" for each in left)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('platform: "tensorrt_plan"', "machine code for NVIDIA GPUs"),
        ('platform: "tensorflow_savedmodel"', "TensorFlow models are not read"),
        ('backend: "our_own"', "the backend 'our_own' is not served"),
        ('platform: "caffe2"', "unexpected platform type 'caffe2'"),
        (ONNX + 'name: "other"', "its config names it 'other', its folder 'm'"),
        (ONNX + "batch_input { kind: BATCH_ELEMENT_COUNT }", "batch_input and batch_output are not served"),
        (ONNX.replace("dims", "allow_ragged_batch: true dims"), "allow_ragged_batch"),
        (ONNX + "model_transaction_policy { decoupled: true }", "decoupled is served for python models"),
        (ONNX + "version_policy { specific { versions: [ 7 ] } }", "no version that its version_policy serves"),
        (ONNX + 'default_model_filename: "bert.onnx"', "version 1 has no bert.onnx"),
        ("max_batch: 8", "did you mean 'max_batch_size'"),
        ("", "Could not determine backend for model"),
    ],
)
def test_what_cannot_be_carried_is_left_with_the_reason(
    repository: Path, model: Model, config: str, reason: str
) -> None:
    model("m", config, file="model.onnx" if config else "model.xyz")
    found = planned(repository)["m"]
    assert found.action == "leave"
    assert reason in found.reason


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (ONNX + "sequence_batching {}", "sequence_batching"),
        (ONNX.replace("dims", "optional: true dims"), "the optional input 'x'"),
        (ONNX.replace("FP32", "STRING"), "the text tensor 'x'"),
    ],
)
def test_what_only_onnx_runtime_can_do_stays_there(repository: Path, model: Model, config: str, reason: str) -> None:
    model("m", config, 1, 2)
    found = planned(repository)["m"]
    assert (found.action, found.versions) == ("copy", (1, 2))
    assert found.reason == f"an OM model cannot have {reason}: it stays on ONNX Runtime"


def test_what_will_do_nothing_is_noted(repository: Path, model: Model) -> None:
    folder = model(
        "m",
        ONNX
        + """
        optimization {
          execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } }
          cuda { graphs: true } graph { level: 1 }
        }
        instance_group [ { kind: KIND_GPU gpus: [ 0, 1 ] }, { kind: KIND_CPU } ]
        parameters { key: "intra_op_thread_count" value { string_value: "4" } }
        """,
    )
    (folder / "configs").mkdir()
    assert planned(repository)["m"].notes == (
        "configs/ is left behind: it is for the old backend",
        "execution accelerators (tensorrt) have no meaning on an NPU",
        "optimization.cuda has no meaning on an NPU",
        "KIND_GPU now means NPUs: 0, 1",
        "KIND_CPU is left out: an OM runs on NPUs",
        "parameters of the old runtime are left out: intra_op_thread_count",
        "optimization.graph is left out: the compiler optimizes",
    )


def test_a_packed_environment_of_python_is_noted(repository: Path, model: Model) -> None:
    environment = 'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "env.tar.gz" } }'
    model("m", f'backend: "python" {environment}', file="model.py")
    assert "must be unpacked" in planned(repository)["m"].notes[0]


ENSEMBLE = """
platform: "ensemble"
input {{ name: "x" data_type: TYPE_FP32 dims: [ 4 ] }} output {{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }}
ensemble_scheduling {{
  step {{ model_name: "{0}" model_version: -1
    input_map {{ key: "x" value: "x" }} output_map {{ key: "y" value: "y" }} }}
}}
"""


def test_an_ensemble_goes_with_its_steps(repository: Path, model: Model) -> None:
    model("step", ONNX)
    model("good", ENSEMBLE.format("step"), file="")
    model("plan", 'backend: "tensorrt"')
    model("bad", ENSEMBLE.format("plan"), file="")
    model("worse", ENSEMBLE.format("bad"), file="")
    found = planned(repository)
    assert found["good"].action == "copy"
    assert found["bad"].reason == "it needs the model 'plan', which is not carried"
    assert found["worse"].reason == "it needs the model 'bad', which is not carried"


def test_a_folder_without_models_is_no_repository(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="has no models"):
        plan_migration(repository)
    with pytest.raises(MigrationError, match=r"cannot read the repository .*No such file"):
        plan_migration(tmp_path / "nowhere")
