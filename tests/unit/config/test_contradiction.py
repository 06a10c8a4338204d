import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.complete import complete_model_config
from npuserve.config.contradiction import check_against_signature
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from support.signatures import bert, static

IDS = 'input { name: "input_ids" data_type: TYPE_INT64 dims: -1 }'
MASK = 'input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 }'
TOKENS = 'output { name: "tokens" data_type: TYPE_FP32 dims: [ -1, 16 ] }'
LOGITS = 'output { name: "logits" data_type: TYPE_FP32 dims: 2 }'
ONE_LENGTH = bert(gears=((1, 128), (8, 128)))


def parse(*parts: str) -> ModelConfig:
    config = ModelConfig()
    text_format.Parse('name: "m" ' + " ".join(parts), config, descriptor_pool=POOL)
    return config


@pytest.mark.parametrize("signature", [bert(), bert(gears=((1, 32), (1, 64))), ONE_LENGTH, static((2, 3)), static(())])
def test_a_completed_config_agrees_with_its_model(signature: ModelSignature) -> None:
    check_against_signature(complete_model_config(parse(), signature, device_count=1), signature)


@pytest.mark.parametrize(
    ("signature", "parts"),
    [
        (bert(), ("max_batch_size: 8", IDS, MASK, LOGITS, TOKENS)),
        (bert(), ("max_batch_size: 3", MASK, IDS, LOGITS)),
        (bert(), ("max_batch_size: 8", IDS.replace("-1", "128"), MASK.replace("-1", "17"), LOGITS)),
        (ONE_LENGTH, ("max_batch_size: 8", IDS, MASK, TOKENS, LOGITS)),
        (ONE_LENGTH, ("max_batch_size: 8", IDS, MASK, TOKENS.replace("-1", "128"), LOGITS)),
        (bert(gears=((1, 32), (1, 64))), ("max_batch_size: 1", IDS, MASK, TOKENS, LOGITS)),
        (
            static((4, 4)),
            (
                'input { name: "x" data_type: TYPE_FP32 dims: 16 reshape { shape: [ 4, 4 ] } }',
                'output { name: "y" data_type: TYPE_FP32 dims: [ 4, 4 ] }',
            ),
        ),
    ],
)
def test_configs_that_say_the_same_or_less_are_accepted(signature: ModelSignature, parts: tuple[str, ...]) -> None:
    check_against_signature(parse(*parts), signature)


@pytest.mark.parametrize(
    ("signature", "parts", "message"),
    [
        (bert(), (IDS,), "unable to load model 'm', configuration expects 1 inputs, model provides 2"),
        (
            bert(),
            (IDS, MASK.replace("attention_mask", "mask")),
            "model 'm', tensor 'input_ids': the model expects 2 dimensions (shape [-1,-1]) but the model configuration "
            "specifies 1 dimensions (shape [-1])",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS, MASK.replace("attention_mask", "mask")),
            "unexpected inference input 'mask', allowed inputs are: attention_mask, input_ids",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS, MASK, LOGITS.replace("logits", "scores")),
            "unexpected inference output 'scores', allowed outputs are: logits, tokens",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS.replace("INT64", "INT32"), MASK),
            "model 'm', tensor 'input_ids': the model expects data-type TYPE_INT64 but the model configuration "
            "specifies data-type TYPE_INT32",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS, MASK.replace("-1", "[ -1, 1 ]")),
            "model 'm', tensor 'attention_mask': the model expects 2 dimensions (shape [-1,-1]) but the model "
            "configuration specifies 3 dimensions (an initial batch dimension because max_batch_size > 0 followed by "
            "the explicit tensor shape, making complete shape [-1,-1,1])",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS, MASK, LOGITS.replace("dims: 2", "dims: 3")),
            "model 'm', tensor 'logits': the model expects shape [-1,2] but the model configuration specifies shape "
            "[-1,3]",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS, MASK, LOGITS.replace("dims: 2", "dims: -1")),
            "model 'm', tensor 'logits': the model expects shape [-1,2] but the model configuration specifies shape "
            "[-1,-1]",
        ),
        (
            bert(),
            ("max_batch_size: 8", IDS.replace("-1", "512"), MASK),
            "model 'm', tensor 'input_ids': the model expects at most 128 in dimension 1 but the model configuration "
            "specifies 512",
        ),
        (
            bert(),
            ("max_batch_size: 16", IDS, MASK, LOGITS),
            "model 'm': the model expects batches of at most 8 but the model configuration specifies max_batch_size 16",
        ),
        (
            static((8, 128)),
            ("max_batch_size: 8", 'input { name: "x" data_type: TYPE_FP32 dims: 128 }'),
            "model 'm', tensor 'x': for the model to support batching the shape should have at least 1 dimension and "
            "the first dimension must be -1; but shape expected by the model is [8,128]",
        ),
        (
            static((8, 128)),
            ('input { name: "x" data_type: TYPE_FP32 dims: [ 8, -1 ] }',),
            "model 'm', tensor 'x': the model expects shape [8,128] but the model configuration specifies shape [8,-1]",
        ),
    ],
)
def test_a_contradiction_names_the_tensor_and_both_sides(
    signature: ModelSignature, parts: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ServeError) as caught:
        check_against_signature(parse(*parts), signature)
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(("switch", "accepted"), [("on", True), ("off", False)])
def test_the_other_width_of_an_integer_is_accepted_where_it_is_converted(switch: str, accepted: bool) -> None:
    config = parse(
        "max_batch_size: 8",
        IDS.replace("INT64", "INT32"),
        MASK,
        f'parameters {{ key: "convert_integers" value {{ string_value: "{switch}" }} }}',
    )
    if accepted:
        check_against_signature(config, bert())
        return
    with pytest.raises(ServeError, match="expects data-type TYPE_INT64"):
        check_against_signature(config, bert())
