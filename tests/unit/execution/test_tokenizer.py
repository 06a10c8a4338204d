"""Tokenizers, from files to answers. What Hugging Face's package gives for a text is the witness of what must come."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from npuserve.config.complete import complete_model_config
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.ready import Ready
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.tokenizer import TokenizerBackend, TokenizerExecutor
from support.ensembles import parse
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "long", "text"]
HEAD = 'name: "m" backend: "tokenizer" max_batch_size: 8 '
PAD, CLS, SEP, A, B, C = 0, 2, 3, 4, 5, 6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tokenizer of single words, each text between [CLS] and [SEP]; its file cuts at 5 and pads to 5."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", CLS), ("[SEP]", SEP)])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


async def load(file: Path, text: str = "", head: str = HEAD) -> TokenizerExecutor:
    backend = TokenizerBackend()
    config = parse(head + text)
    signature = await backend.describe(file, config)
    config = complete_model_config(config, signature, device_count=await backend.device_count())
    return await backend.load(file, config, signature)


def request(*texts: bytes) -> ExecuteRequest:
    return ExecuteRequest(inputs=[Tensor("text", Dtype.BYTES, (len(texts), 1), join_elements(texts))], rows=len(texts))


def parameter(key: str, value: object) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }} '


def output(name: str, dtype: str = "INT64", dims: str = "-1") -> str:
    return f'output {{ name: "{name}" data_type: TYPE_{dtype} dims: [ {dims} ] }} '


INPUT = 'input { name: "text" data_type: TYPE_STRING dims: [ 1 ] } '


def values(result: ExecuteResult, name: str = "input_ids") -> list[list[int]]:
    (tensor,) = [each for each in result.outputs if each.name == name]
    rows: list[list[int]] = np.frombuffer(tensor.data, tensor.dtype.numpy).reshape(tensor.shape).tolist()
    return rows


async def refused(executor: TokenizerExecutor, *texts: bytes) -> str:
    with pytest.raises(ServeError) as caught:
        await executor.execute(request(*texts))
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    return caught.value.message


async def test_a_text_becomes_its_ids_and_a_mask_of_ones(file: Path) -> None:
    executor = await load(file)
    result = await executor.execute(request(b"A b"))
    assert [(each.name, each.dtype, each.shape) for each in result.outputs] == [
        ("input_ids", Dtype.INT64, (1, 4)),
        ("attention_mask", Dtype.INT64, (1, 4)),
    ]
    assert values(result) == [[CLS, A, B, SEP]]
    assert values(result, "attention_mask") == [[1, 1, 1, 1]]


async def test_the_texts_of_a_request_are_padded_to_its_longest(file: Path) -> None:
    result = await (await load(file)).execute(request(b"a b c", b"", b"nobody knows"))
    assert values(result) == [[CLS, A, B, C, SEP], [CLS, SEP, PAD, PAD, PAD], [CLS, 1, 1, SEP, PAD]]
    assert values(result, "attention_mask") == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]


async def test_the_outputs_are_those_of_the_config_in_its_types(file: Path) -> None:
    outputs = output("token_type_ids", "INT32") + output("input_ids", "INT32")
    result = await (await load(file, INPUT + outputs)).execute(request(b"c"))
    assert [(each.name, each.dtype) for each in result.outputs] == [
        ("token_type_ids", Dtype.INT32),
        ("input_ids", Dtype.INT32),
    ]
    assert (values(result, "token_type_ids"), values(result)) == ([[0, 0, 0]], [[CLS, C, SEP]])


async def test_fixed_dims_cut_and_pad_to_their_size(file: Path) -> None:
    executor = await load(file, INPUT + output("input_ids", dims="4"))
    assert values(await executor.execute(request(b"a b c a"))) == [[CLS, A, B, SEP]]
    assert values(await executor.execute(request(b"a"))) == [[CLS, A, SEP, PAD]]


@pytest.mark.parametrize(
    ("options", "text", "ids"),
    [
        ("", b"a b c a b", [CLS, A, B, C, SEP]),  # the file's own cut
        (parameter("max_tokens", 3), b"a b c", [CLS, A, SEP]),
        (parameter("max_tokens", 9), b"a b c a b", [CLS, A, B, C, A, B, SEP]),
        (parameter("max_tokens", 4) + parameter("padding", "max_tokens"), b"a", [CLS, A, SEP, PAD]),
        (parameter("truncation", "off"), b"a b c a b", [CLS, A, B, C, A, B, SEP]),
        (parameter("special_tokens", "off"), b"a b", [A, B]),
    ],
)
async def test_parameters_say_how_texts_are_cut_and_padded(
    file: Path, options: str, text: bytes, ids: list[int]
) -> None:
    assert values(await (await load(file, options)).execute(request(text))) == [ids]


async def test_a_file_that_pads_on_the_left_is_obeyed(file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_padding(direction="left", pad_id=8, pad_token="text")
    tokenizer.save(str(file))
    result = await (await load(file)).execute(request(b"a b", b"c"))
    assert values(result) == [[CLS, A, B, SEP], [8, CLS, C, SEP]]
    assert values(result, "attention_mask") == [[1, 1, 1, 1], [0, 1, 1, 1]]


async def test_a_short_request_is_answered_before_execute_returns_and_a_long_one_beside_the_loop(file: Path) -> None:
    executor = await load(file)
    assert isinstance(executor.execute(request(b"a")), Ready)
    texts = [b"a " * 400, b"b", b"c" * 2000]
    result = await executor.execute(request(*texts))
    expected = [Tokenizer.from_file(str(file)).encode(text.decode()).ids for text in texts]
    assert values(result) == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([b"a", b"\xffb"], "text 1 of the request to model 'm' is not UTF-8: invalid start byte at byte 0"),
        ([b"a" + b"\xe4"], "text 0 of the request to model 'm' is not UTF-8: unexpected end of data at byte 1"),
        ([b"a" * 31], "text 0 has 31 bytes, but model 'm' takes at most 30 (its parameter 'max_text_bytes')"),
        (
            [b"a", b"a b c"],
            "text 1 has 5 tokens, but model 'm' takes at most 4: send a shorter text, or have the model's parameter "
            "'truncation' be 'on'",
        ),
    ],
)
async def test_what_is_no_text_or_too_long_is_refused_for_its_request_alone(
    file: Path, texts: Sequence[bytes], message: str
) -> None:
    options = parameter("max_tokens", 4) + parameter("truncation", "off") + parameter("max_text_bytes", 30)
    executor = await load(file, options)
    assert await refused(executor, *texts) == message
    assert await refused(executor, *texts, *[b"a"] * 500) == message
    assert values(await executor.execute(request(b"a b"))) == [[CLS, A, B, SEP]]
    statistics = executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.failures.other) == (1, 2, 2)


async def test_requests_and_rows_are_counted_as_executions_of_their_own(file: Path) -> None:
    executor = await load(file)
    for texts in ((b"a", b"b"), (b"c",), (b"a",) * 600):
        await executor.execute(request(*texts))
    statistics = executor.statistics()
    assert (statistics.inference_count, statistics.execution_count, statistics.success.count) == (603, 3, 3)
    assert [batch.batch_size for batch in statistics.batches] == [1, 2, 600]


async def test_closing_waits_for_what_runs_and_refuses_the_rest(file: Path) -> None:
    executor = await load(file)
    running = asyncio.ensure_future(executor.execute(request(*[b"a"] * 1000)))
    await asyncio.sleep(0)
    await executor.close()
    assert len(values(await running)) == 1000
    with pytest.raises(ServeError) as caught:
        await executor.execute(request(b"a"))
    assert caught.value.status is StatusCode.UNAVAILABLE


async def test_a_long_request_may_be_given_up(file: Path) -> None:
    executor = await load(file)
    running = asyncio.ensure_future(executor.execute(request(*[b"a b c"] * 2000)))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert executor.statistics().failures.cancelled == 1
    await executor.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'input { name: "text" data_type: TYPE_INT64 dims: [ 1 ] } ',
            "model 'm': backend 'tokenizer' has one input, TYPE_STRING with dims [ 1 ], a text a row",
        ),
        (
            INPUT + output("logits", "FP32"),
            "model 'm': the outputs of backend 'tokenizer' are input_ids, attention_mask, token_type_ids, TYPE_INT64 "
            "or TYPE_INT32, got 'logits', TYPE_FP32",
        ),
        (
            INPUT + output("input_ids", dims="-1, 2"),
            "model 'm': output 'input_ids' of backend 'tokenizer' has one dim, a text's tokens",
        ),
        (
            INPUT + output("input_ids", dims="8") + output("attention_mask", dims="16"),
            "model 'm': the outputs must have the same dims, one size that all texts share",
        ),
        (
            INPUT + output("input_ids", dims="8") + parameter("max_tokens", 9),
            "model 'm': parameter 'max_tokens' is 9, but the outputs have 8 places",
        ),
        (
            parameter("max_tokens", "many"),
            "model 'm': parameter 'max_tokens' must be a whole number from 1, got 'many'",
        ),
        (parameter("truncation", "left"), "model 'm': parameter 'truncation' must be 'on' or 'off', got 'left'"),
        (
            parameter("padding", "max_tokens"),
            "model 'm': parameter 'padding' is 'max_tokens', which is not given",
        ),
    ],
)
async def test_configs_that_a_tokenizer_cannot_follow_are_refused_at_load(file: Path, text: str, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        await load(file, text)
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, message)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A file that is no tokenizer's."""
    (tmp_path / "empty.json").write_text("{}")
    return tmp_path / "empty.json"


async def test_a_file_that_is_none_of_a_tokenizer_is_refused_at_load(empty: Path) -> None:
    with pytest.raises(ServeError) as caught:
        await load(empty)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert caught.value.message.startswith(f"failed to load '{empty}': ")


async def test_without_the_package_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ServeError) as caught:
        await load(file)
    assert caught.value.status is StatusCode.UNAVAILABLE
    assert caught.value.message.endswith("pip install npuserve[tokenizer]")
