"""Which rows the baseline is taken with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve.migrate.chain.settings import ExportSettings, SourceSettings
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.export.checkpoint import read_config
from npuserve.migrate.export.comparison import compare
from npuserve.migrate.export.dataset import spread
from npuserve.migrate.export.example_inputs import lengths_of, random_texts, read_inputs
from npuserve.migrate.export.inputs import Inputs, TextModel, fit_to_graph, gather
from npuserve.migrate.export.running import cosine, cut_rows, padded_rows
from npuserve.migrate.export.tokenizing import make_tokenizer_json
from support.checkpoints import write_dataset, write_tokenizer
from support.models import expected_tokens, tokens


def gathered(tmp_path: Path, options: ExportSettings, model: TextModel | None = None, **source: Any) -> Inputs:
    (tmp_path / "out").mkdir()
    return gather(SourceSettings(name="m", module="m:f", **source), options, tmp_path / "out", model)


def test_rows_are_taken_from_all_of_a_set() -> None:
    assert spread(range(100), 4) == [0, 25, 50, 75]
    assert spread(range(100), 4, 0.5) == [12, 37, 62, 87]
    assert spread(range(3), 64) == [0, 1, 2]
    assert spread(range(3), 64, 0.5) == [0, 1, 2]


def test_texts_are_cut_at_the_longest_that_the_model_has(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    dataset = write_dataset(tmp_path / "set.jsonl", *({"text": "good " * count} for count in range(1, 21)))
    inputs = gathered(
        tmp_path,
        ExportSettings(samples=5, max_length=30),
        TextModel(names=("input_ids", "attention_mask"), vocabulary=14, max_length=16),
        dataset=dataset,
        tokenizer=tmp_path / "tokenizer.json",
    )
    assert inputs.lengths == [min(count + 2, 16) for count in range(1, 21)]
    assert [each["input_ids"].shape[1] for each in inputs.samples] == [3, 7, 11, 15, 16]
    assert [each["input_ids"].shape[1] for each in inputs.calibration] == [5, 9, 13, 16, 16]
    assert "token_type_ids" not in inputs.samples[0]
    assert (tmp_path / "out" / "max_length.txt").read_text() == "16\n"


def test_pairs_have_token_types(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    rows = [{"text": "good film", "text_pair": "bad"}, {"text": "bad", "text_pair": "a film"}]
    dataset = write_dataset(tmp_path / "set.jsonl", *rows)
    inputs = gathered(tmp_path, ExportSettings(), dataset=dataset, tokenizer=tmp_path / "tokenizer.json")
    assert inputs.samples[0]["input_ids"].tolist() == [[2, 4, 7, 3, 5, 3]]
    assert inputs.samples[0]["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1]]


def test_examples_are_rows_or_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", a=np.arange(6).reshape(3, 2), b=np.arange(3.0))
    rows = read_inputs(tmp_path / "rows.npz")
    assert [each["a"].tolist() for each in rows] == [[[0, 1]], [[2, 3]], [[4, 5]]]
    assert [each["b"].tolist() for each in rows] == [[0.0], [1.0], [2.0]]
    save_samples(tmp_path / "samples.npz", [{"a": np.ones((1, 3))}, {"a": np.ones((1, 5))}])
    assert [each["a"].shape for each in read_inputs(tmp_path / "samples.npz")] == [(1, 3), (1, 5)]


def test_random_texts_are_the_same_each_time() -> None:
    names = ("input_ids", "attention_mask", "token_type_ids")
    first, second = (random_texts(names, 30522, 4, 40) for _ in range(2))
    assert [each["input_ids"].shape[1] for each in first] == [4, 16, 28, 40]
    assert all(np.array_equal(a["input_ids"], b["input_ids"]) for a, b in zip(first, second, strict=True))
    assert min(int(each["input_ids"].min()) for each in first) >= 1000


def test_the_length_of_a_sample_is_what_its_mask_counts() -> None:
    assert lengths_of([{"input_ids": np.ones((1, 9)), "attention_mask": np.array([[1, 1, 1, 0]])}]) == [3]
    assert lengths_of([{"ids": np.ones((1, 9), np.int64)}]) == [9]


def test_an_axis_of_other_numbers_is_a_length_if_it_varies() -> None:
    assert lengths_of([{"frames": np.ones((1, length, 8), np.float32)} for length in (9, 4)]) == [9, 4]
    assert lengths_of([{"image": np.ones((1, 3, 8, 8), np.float32)}] * 2) == []
    assert lengths_of([{"scale": np.ones(1, np.float32)}]) == []
    assert lengths_of([]) == []


def test_samples_are_given_as_the_graph_takes_them() -> None:
    model = tokens()
    sample = {"input_ids": np.ones((1, 3), np.int32), "attention_mask": np.ones((1, 3), bool), "other": np.ones(1)}
    (fitted,) = fit_to_graph([sample], model)
    assert {name: each.dtype.name for name, each in fitted.items()} == {
        "input_ids": "int64",
        "attention_mask": "int64",
    }


def test_a_padded_batch_has_the_longest_and_the_shortest_row() -> None:
    samples = [
        {"input_ids": np.full((1, length), length), "attention_mask": np.ones((1, length), np.int64)}
        for length in (7, 2, 5, 9, 4)
    ]
    batch = padded_rows(samples, 3)
    assert batch is not None
    assert batch["input_ids"][:, 0].tolist() == [2, 5, 9]
    assert batch["attention_mask"].sum(axis=1).tolist() == [2, 5, 9]
    answer = {"tokens": np.zeros((3, 9, 4)), "rows": np.zeros((3, 4))}
    cut = cut_rows(answer, samples, 3)
    assert [each["tokens"].shape for each in cut] == [(1, 2, 4), (1, 5, 4), (1, 9, 4)]
    assert [each["rows"].shape for each in cut] == [(1, 4)] * 3
    assert padded_rows([{"x": np.ones((1, 2))}] * 2, 2) is None


def test_answers_that_are_no_numbers_never_pass() -> None:
    ids = np.array([[3, 4, 5]])
    sample = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    right = {"logits": expected_tokens(ids, np.ones_like(ids))}
    assert compare(tokens(), [sample], [right], "PyTorch", 0.9999).passed
    for wrong in (right["logits"] * np.nan, -right["logits"], right["logits"][..., ::-1]):
        assert not compare(tokens(), [sample], [{"logits": wrong}], "PyTorch", 0.9999).passed


def test_the_cosine_of_zeros() -> None:
    zero, one = np.zeros(3), np.ones(3)
    assert [cosine(zero, zero), cosine(zero, one), cosine(one, one * 7)] == pytest.approx([1.0, 0.0, 1.0])


def test_positions_behind_the_padding_are_not_for_tokens(tmp_path: Path) -> None:
    fields = {"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"], "pad_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps({**fields, "max_position_embeddings": 514, "vocab_size": 9}))
    (tmp_path / "model.safetensors").touch()
    assert read_config(tmp_path, "classification").max_length == 512


def test_an_older_vocabulary_becomes_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nfilm\n")
    target = tmp_path / "made.json"
    assert make_tokenizer_json(tmp_path, target)
    from tokenizers import Tokenizer

    assert Tokenizer.from_file(str(target)).encode("good film").ids == [2, 5, 6, 3]
    (tmp_path / "empty").mkdir()
    assert not make_tokenizer_json(tmp_path / "empty", tmp_path / "none.json")
