from pathlib import Path

import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.model_config import parse_model_config
from npuserve.core.dtype import Dtype
from npuserve.core.signature import TensorSpec
from npuserve.migrate.chain.settings import ServeSettings
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.graph_interface import GraphInterface
from npuserve.migrate.serve.model_config import ConfigPlan, adapted_config, config_text, new_config, read_config

INTERFACE = GraphInterface(
    inputs=(TensorSpec("input_ids", Dtype.INT64, (-1, -1)),), outputs=(TensorSpec("logits", Dtype.FP32, (-1, 2)),)
)


def plan(**changes: object) -> ConfigPlan:
    given = {"name": "m", "settings": ServeSettings(), "interface": INTERFACE, "max_batch": 16, **changes}
    return ConfigPlan(**given)  # type: ignore[arg-type]  # the fields, changed


def parsed(text: str) -> ModelConfig:
    return parse_model_config(text, Path("config.pbtxt"))


def test_a_new_config_batches_and_names_labels() -> None:
    config = new_config(plan(labels=("bad", "good")))
    assert config == parsed(
        """
        name: "m" backend: "ascend" max_batch_size: 16
        input { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }
        output { name: "logits" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "labels.txt" }
        dynamic_batching { max_queue_delay_microseconds: 500 }
        version_policy { latest { num_versions: 1 } }
        instance_group { count: 1 }
        """
    )
    assert parsed(config_text(config)) == config


def test_labels_of_another_number_than_the_classes_name_nothing() -> None:
    assert not new_config(plan(labels=("a", "b", "c"))).output[0].label_filename


def test_without_batches_dims_are_whole_shapes() -> None:
    config = new_config(plan(max_batch=0))
    assert list(config.input[0].dims) == [-1, -1]
    assert not config.HasField("dynamic_batching")


def test_one_compiled_shape_is_left_to_the_model_to_tell() -> None:
    config = new_config(plan(max_batch=0, is_static=True))
    assert not config.input
    assert not config.output


def test_an_old_config_keeps_all_but_what_belongs_to_its_backend() -> None:
    old = parsed(
        """
        name: "old" platform: "onnxruntime_onnx" max_batch_size: 32 default_model_filename: "bert.onnx"
        input { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }
        output { name: "logits" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "classes.txt" }
        dynamic_batching { preferred_batch_size: [ 8, 32 ] max_queue_delay_microseconds: 100 priority_levels: 2 }
        optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }
        instance_group { count: 2 kind: KIND_GPU gpus: [ 0, 1 ] }
        parameters { key: "intra_op_thread_count" value { string_value: "4" } }
        parameters { key: "team" value { string_value: "search" } }
        model_warmup { name: "w" batch_size: 1 }
        """
    )
    assert adapted_config(old, plan(name="old")) == parsed(
        """
        name: "old" backend: "ascend" max_batch_size: 16
        input { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] }
        output { name: "logits" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "classes.txt" }
        dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 100 priority_levels: 2 }
        instance_group { count: 2 gpus: [ 0, 1 ] kind: KIND_GPU }
        parameters { key: "team" value { string_value: "search" } }
        model_warmup { name: "w" batch_size: 1 }
        """
    )


def test_instances_on_the_processor_go_where_npus_are() -> None:
    old = parsed('name: "m" instance_group { count: 2 kind: KIND_CPU }')
    assert adapted_config(old, plan()).instance_group == [parsed("instance_group { count: 2 }").instance_group[0]]


def test_a_config_that_says_nothing_gets_the_batch_of_the_gears() -> None:
    assert adapted_config(parsed('name: "m"'), plan()).max_batch_size == 16


def test_a_config_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text("max_batch: 4")
    with pytest.raises(MigrationError, match=r"line 1, column 1: found 'max_batch'.*did you mean 'max_batch_size'"):
        read_config(tmp_path / "config.pbtxt")
