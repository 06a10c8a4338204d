import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig, ModelInstanceGroup
from npuserve.config.complete import complete_model_config
from npuserve.config.contradiction import check_against_signature
from npuserve.config.validate import validate_model_config, validate_tensors
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature, TensorSpec
from support.signatures import bert, static

BERT_TENSORS = """
    input { name: "input_ids" data_type: TYPE_INT64 dims: -1 }
    input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 }
    output { name: "tokens" data_type: TYPE_FP32 dims: [ -1, 16 ] }
    output { name: "logits" data_type: TYPE_FP32 dims: 2 }
"""


def parse(text: str) -> ModelConfig:
    config = ModelConfig()
    text_format.Parse(text, config, descriptor_pool=POOL)
    return config


def complete(text: str, signature: ModelSignature, *, device_count: int = 1, auto_complete: bool = True) -> ModelConfig:
    return complete_model_config(
        parse('name: "m" ' + text), signature, device_count=device_count, auto_complete=auto_complete
    )


def test_a_model_with_gears_and_no_config_is_completed_from_its_gears() -> None:
    config = complete('backend: "ascend"', bert())
    assert config == parse(
        'name: "m" backend: "ascend" max_batch_size: 8 dynamic_batching { preferred_batch_size: 8 }'
        + BERT_TENSORS
        + 'instance_group { name: "m" kind: KIND_GPU count: 1 gpus: 0 } version_policy { latest { num_versions: 1 } }'
        "optimization { input_pinned_memory { enable: true } output_pinned_memory { enable: true } }"
    )
    validate_model_config(config)
    validate_tensors(config)


def test_the_users_own_words_stay() -> None:
    text = (
        "max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 100 }"
        'version_policy { all { } } instance_group { name: "g" kind: KIND_GPU count: 2 gpus: [ 1 ] }'
    )
    config = complete(text, bert(), device_count=2)
    assert config.max_batch_size == 4
    assert list(config.dynamic_batching.preferred_batch_size) == [2, 4]
    assert config.version_policy.HasField("all")
    assert (config.instance_group[0].name, config.instance_group[0].count) == ("g", 2)
    assert list(config.instance_group[0].gpus) == [1]


def test_the_given_config_is_not_changed() -> None:
    given = parse('name: "m"')
    complete_model_config(given, bert(), device_count=1)
    assert given == parse('name: "m"')


def test_a_model_whose_tensors_are_given_gets_no_batching_of_its_own() -> None:
    config = complete(BERT_TENSORS, bert())
    assert config.max_batch_size == 0
    assert config.WhichOneof("scheduling_choice") is None


def test_outputs_alone_are_completed_beside_given_inputs() -> None:
    inputs = 'input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 }'
    config = complete(inputs, bert())
    assert [tensor.name for tensor in config.input] == ["attention_mask"]
    assert [tensor.name for tensor in config.output] == ["tokens", "logits"]


def test_gears_of_one_row_batch_without_a_batcher() -> None:
    config = complete("", bert(gears=((1, 32), (1, 64))))
    assert config.max_batch_size == 1
    assert config.WhichOneof("scheduling_choice") is None
    assert list(config.output[1].dims) == [2]


def test_a_static_model_does_not_batch() -> None:
    config = complete("", static((2, 3)))
    assert config.max_batch_size == 0
    assert (config.input[0].name, list(config.input[0].dims)) == ("x", [2, 3])


def test_batching_asked_of_a_model_that_cannot_is_refused() -> None:
    with pytest.raises(ServeError) as caught:
        complete("max_batch_size: 4", static((2, 3)))
    assert caught.value.message == (
        "autofill failed for model 'm': model does not support batching while non-zero max_batch_size is specified"
    )


def test_without_completion_only_defaults_are_filled() -> None:
    config = complete("max_batch_size: 4 dynamic_batching { }", bert(), auto_complete=False)
    assert not config.input
    assert list(config.dynamic_batching.preferred_batch_size) == [4]
    assert config.instance_group[0].name == "m"


def test_a_tensor_without_dimensions_is_one_element_to_clients() -> None:
    config = complete("", bert(labels=3))
    scalar = complete("", static((-1, 4), (-1,)))
    assert list(config.output[1].dims) == [3]
    assert not scalar.output[0].HasField("reshape") and list(scalar.output[0].dims) == [-1]
    rank_0 = complete("", static((1, 4), ()))
    assert list(rank_0.output[0].dims) == [1] and rank_0.output[0].HasField("reshape")


def test_instance_groups_get_names_counts_and_devices() -> None:
    text = 'instance_group [ { kind: KIND_GPU }, { name: "own" count: -2 }, { kind: KIND_CPU count: 3 } ]'
    groups = complete(text, bert(), device_count=2).instance_group
    assert [(group.name, group.count, list(group.gpus)) for group in groups] == [
        ("m_0", 1, [0, 1]),
        ("own", 1, [0, 1]),
        ("m_2", 3, []),
    ]


def test_without_devices_the_instances_are_on_the_cpu() -> None:
    group = complete("", bert(), device_count=0).instance_group[0]
    assert group.kind == group.KIND_CPU and not group.gpus


def test_a_sequence_batcher_gets_its_idle_time() -> None:
    assert complete("sequence_batching { }", bert()).sequence_batching.max_sequence_idle_microseconds == 1_000_000


def test_the_oldest_sequences_are_batched_as_far_as_the_model_can() -> None:
    batching = complete("max_batch_size: 4 sequence_batching { oldest { max_candidate_sequences: 8 } }", bert())
    assert list(batching.sequence_batching.oldest.preferred_batch_size) == [4]


def test_dynamic_batching_without_batches_prefers_nothing() -> None:
    config = complete("dynamic_batching { }" + BERT_TENSORS, bert())
    assert not config.dynamic_batching.preferred_batch_size


def gearless(*, batches: bool = True) -> ModelSignature:
    """What an ONNX model says of itself: sizes that vary, and no gears."""
    first = -1 if batches else 3
    return ModelSignature((TensorSpec("x", Dtype.FP32, (-1, 4)),), (TensorSpec("y", Dtype.FP32, (first, 2)),), ())


def test_a_model_without_gears_that_can_batch_gets_tritons_default_batch() -> None:
    config = complete('backend: "onnxruntime"', gearless(), device_count=0)
    assert config.max_batch_size == 4 and list(config.dynamic_batching.preferred_batch_size) == [4]
    assert (list(config.input[0].dims), list(config.output[0].dims)) == ([4], [2])
    assert (config.instance_group[0].kind, config.instance_group[0].count) == (ModelInstanceGroup.KIND_CPU, 2)
    check_against_signature(config, gearless())


def test_the_default_batch_can_be_set_and_a_given_one_stays() -> None:
    given = parse('name: "m" backend: "onnxruntime"')
    assert complete_model_config(given, gearless(), device_count=0, default_max_batch_size=16).max_batch_size == 16
    config = complete('backend: "onnxruntime" max_batch_size: 4096', gearless(), device_count=0)
    assert config.max_batch_size == 4096
    check_against_signature(config, gearless())


def test_an_output_of_fixed_rows_keeps_a_model_without_gears_from_batching() -> None:
    assert complete("", gearless(batches=False), device_count=0).max_batch_size == 0
    with pytest.raises(ServeError) as caught:
        complete("max_batch_size: 2", gearless(batches=False), device_count=0)
    assert caught.value.message == (
        "autofill failed for model 'm': model does not support batching while non-zero max_batch_size is specified"
    )


def test_an_ensemble_gets_no_instances() -> None:
    config = complete('platform: "ensemble" ensemble_scheduling { }', gearless(), device_count=0)
    assert not config.instance_group and not config.HasField("optimization")


def test_pinned_memory_that_is_switched_off_stays_off() -> None:
    config = complete("optimization { input_pinned_memory { enable: false } }", bert())
    assert not config.optimization.input_pinned_memory.enable and config.optimization.output_pinned_memory.enable
