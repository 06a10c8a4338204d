"""The stage from end to end: what it leaves in its folder, and what it finds."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from npuserve.migrate.chain.settings import ExportSettings, Settings, SourceSettings
from npuserve.migrate.chain.stage import Result, Workspace
from npuserve.migrate.chain.tensors import load_samples, save_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export import ExportStage
from npuserve.migrate.export.running import run_onnx
from onnx import helper
from support.checkpoints import write_checkpoint, write_dataset, write_tokenizer
from support.rewriting import FLOAT, INT64, graph_of

node = helper.make_node
LABELS = ("bad", "so", "good")
TEXTS = ["good film", "the film was very bad", "it was a very very good film", "bad", "the very good", "a film"]

Run = Callable[..., tuple[Path, Result]]


def workspace(folder: Path, export: dict[str, Any], **source: Any) -> Workspace:
    settings = Settings(source=SourceSettings(name="model", **source), export=ExportSettings(**export))
    return Workspace(settings=settings, work=folder)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the stage on a source and returns its folder and what it found."""

    def run_stage(export: dict[str, Any] | None = None, **source: Any) -> tuple[Path, Result]:
        folder = tmp_path / "S1_export"
        folder.mkdir()
        return folder, ExportStage().run(workspace(tmp_path, export or {}, **source), folder, lambda text: None)

    return run_stage


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "classifier")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    rows = [{"text": text, "label": LABELS[index % 3]} for index, text in enumerate(TEXTS)]
    return write_dataset(tmp_path / "texts.jsonl", *rows)


def given_graph() -> onnx.ModelProto:
    """Tokens in a table, masked by the lowest number, with what every rewrite could find something in."""
    nodes = [
        node("Gather", ["table", "input_ids"], ["vectors"]),
        node("ReduceMean", ["vectors", "last"], ["mean"], keepdims=1),
        node("Sub", ["vectors", "mean"], ["deviation"]),
        node("Mul", ["deviation", "deviation"], ["square"]),
        node("ReduceMean", ["square", "last"], ["variance"], keepdims=1),
        node("Add", ["variance", "epsilon"], ["shifted"]),
        node("Sqrt", ["shifted"], ["root"]),
        node("Div", ["deviation", "root"], ["normal"]),
        node("MatMul", ["normal", "query"], ["scores"]),
        node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        node("Sub", ["one", "mask"], ["out"]),
        node("Mul", ["out", "lowest"], ["bias"]),
        node("Unsqueeze", ["bias", "last"], ["wide"]),
        node("Add", ["scores", "wide"], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=1),
        node("Mul", ["normal", "weights"], ["weighted"]),
        node("ReduceSum", ["weighted", "first"], ["logits"], keepdims=0),
    ]
    generator = np.random.default_rng(0)
    weights = {
        "table": generator.standard_normal((50, 8)).astype(np.float32),
        "query": generator.standard_normal((8, 1)).astype(np.float32),
        "last": np.array([-1]),
        "first": np.array([1]),
        "epsilon": 1e-5,
        "one": 1,
        "lowest": float(np.finfo(np.float32).min),
    }
    tokens = (INT64, ["rows", "tokens"])
    return graph_of(nodes, {"input_ids": tokens, "attention_mask": tokens}, {"logits": (FLOAT, ["rows", 8])}, weights)


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    onnx.save(given_graph(), str(tmp_path / "given.onnx"))
    return tmp_path / "given.onnx"


def test_a_classifier_becomes_a_graph_that_answers_alike(run: Run, classifier: Path, texts: Path) -> None:
    folder, result = run(checkpoint=classifier, dataset=texts)
    assert [check.passed for check in result.checks] == [True, True]
    assert "ONNX Runtime against PyTorch" in result.checks[0].name
    assert set(result.artifacts) == {each.name for each in folder.iterdir()}
    assert folder.joinpath("labels.txt").read_text() == "bad\nso\ngood\n"
    assert folder.joinpath("lengths.txt").read_text() == "4\n7\n9\n3\n5\n4\n"
    assert folder.joinpath("dataset.jsonl").read_bytes() == texts.read_bytes()
    assert folder.joinpath("tokenizer.json").read_bytes() == (classifier / "tokenizer.json").read_bytes()
    samples = load_samples(folder / "baseline.npz")
    answers = load_samples(folder / "baseline_outputs.npz")
    assert samples[0]["input_ids"].tolist() == [[2, 4, 7, 3]]
    assert [each["logits"].shape for each in answers] == [(1, 3)] * 6
    model = onnx.load(str(folder / "model.onnx"))
    for sample, got, expected in zip(samples, run_onnx(model, samples), answers, strict=True):
        assert set(sample) == {"input_ids", "attention_mask"}
        np.testing.assert_allclose(got["logits"], expected["logits"], rtol=1e-4, atol=1e-5)
    assert result.figures["inputs"] == {name: "INT64 [batch, sequence]" for name in ("input_ids", "attention_mask")}
    assert result.figures["output_shapes"] == {"logits": "FLOAT [batch, 3]"}
    assert result.figures["lengths"] == [[3, 1], [4, 2], [5, 1], [7, 1], [9, 1]]
    assert {each["rewrite"] for each in result.figures["rewrites"]} >= {"attention_mask", "int64_indices"}
    # The mask that the model makes for itself is looked up position by position.
    assert not {"GatherND", "Range"} & {each.op_type for each in model.graph.node}
    assert result.foreign_seconds > 0.5 * result.seconds
    json.dumps(dict(result.figures))


def test_a_token_classifier_keeps_a_logit_row_a_token(run: Run, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "tagger", "token_classification", ("O", "B-place"))
    rows = [
        {"words": ["in", "paris"], "labels": ["O", "B-place"]},
        {"words": ["it", "was", "good"], "labels": ["O"] * 3},
    ]
    folder, result = run(
        {"opset": 16},
        checkpoint=checkpoint,
        task="token_classification",
        dataset=write_dataset(tmp_path / "words.jsonl", *rows),
    )
    assert result.passed
    answers = load_samples(folder / "baseline_outputs.npz")
    assert [each["logits"].shape for each in answers] == [(1, 4, 2), (1, 5, 2)]
    model = onnx.load(str(folder / "model.onnx"))
    assert model.opset_import[0].version == 16
    assert "LayerNormalization" not in {each.op_type for each in model.graph.node}


MODULE = '''
import torch

class Sums(torch.nn.Module):
    """Sums of the tokens' vectors by class, in place."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(20, 4)

    def forward(self, input_ids):
        sums = torch.zeros(input_ids.shape[0], 3, 4)
        sums.index_add_(1, torch.arange(input_ids.shape[1]) % 3, self.table(input_ids))
        return sums.flatten(1)

def build():
    return Sums()
'''


def test_a_module_is_exported_by_its_import_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sums_by_index.py").write_text(MODULE)
    np.savez(tmp_path / "inputs.npz", input_ids=np.random.default_rng(0).integers(0, 20, (5, 7)))
    folder, result = run(module="sums_by_index:build", python_path=(tmp_path,), inputs=tmp_path / "inputs.npz")
    assert result.passed
    assert [each["rewrite"] for each in result.figures["rewrites"]] == ["index_add", "int64_indices"]
    assert len(load_samples(folder / "baseline.npz")) == 5
    assert not (folder / "labels.txt").exists()
    assert folder.joinpath("lengths.txt").read_text() == "7\n" * 5
    assert result.figures["inputs"] == {"input_ids": "INT64 [batch, sequence]"}


def test_a_given_graph_is_its_own_baseline(run: Run, onnx_file: Path, texts: Path, tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    folder, result = run(onnx=onnx_file, dataset=texts, tokenizer=tmp_path / "tokenizer.json")
    assert result.passed
    assert "optimizations off" in " ".join(result.notes)
    assert [each["rewrite"] for each in result.figures["rewrites"]] == [
        "layer_norm_fuse",
        "softmax_mask",
        "int64_indices",
    ]
    samples = load_samples(folder / "baseline.npz")
    expected = run_onnx(given_graph(), samples, optimized=False)
    for got, wanted in zip(load_samples(folder / "baseline_outputs.npz"), expected, strict=True):
        np.testing.assert_array_equal(got["logits"], wanted["logits"])


def test_a_text_graph_alone_is_run_with_random_tokens(run: Run, onnx_file: Path) -> None:
    folder, result = run({"samples": 5, "max_length": 20}, onnx=onnx_file)
    assert result.passed
    assert "random tokens" in result.notes[0]
    samples = load_samples(folder / "baseline.npz")
    assert [each["input_ids"].shape for each in samples] == [(1, 4), (1, 8), (1, 12), (1, 16), (1, 20)]
    assert max(int(each["input_ids"].max()) for each in samples) < 50


def test_a_graph_of_one_shape_is_run_at_it(run: Run, tmp_path: Path) -> None:
    model = given_graph()
    for each in model.graph.input:
        for dim, size in zip(each.type.tensor_type.shape.dim, (1, 12), strict=True):
            dim.dim_value = size
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, str(tmp_path / "fixed.onnx"))
    folder, result = run({"samples": 3}, onnx=tmp_path / "fixed.onnx")
    assert [check.passed for check in result.checks] == [True]
    assert "batches of one size only" in " ".join(result.notes)
    assert {each["input_ids"].shape for each in load_samples(folder / "baseline.npz")} == {(1, 12)}


def test_a_skipped_rewrite_is_left_out(run: Run, onnx_file: Path) -> None:
    _, result = run({"skip_rewrites": ("layer_norm_fuse", "int64_indices")}, onnx=onnx_file)
    assert [each["rewrite"] for each in result.figures["rewrites"]] == ["softmax_mask"]


def test_a_rewrite_that_changes_answers_fails_the_gate_and_is_named(
    run: Run, onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("npuserve.migrate.export.rewrites.softmax_mask.MASKED", 0.5)
    folder, result = run(onnx=onnx_file)
    assert [check.passed for check in result.checks] == [True, False]
    assert "before the rewrites the graph was right" in result.advice[0]
    assert "softmax_mask" in result.advice[0]
    assert (folder / "model.onnx").exists()


def test_a_graph_whose_rows_see_their_padding_fails_the_gate(run: Run, tmp_path: Path) -> None:
    nodes = [
        node("Cast", ["input_ids"], ["ids"], to=FLOAT),
        node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        node("Add", ["ids", "mask"], ["sum"]),
        node("Cos", ["sum"], ["wave"]),
        node("ReduceSum", ["wave", "last"], ["logits"], keepdims=1),
    ]
    tokens = (INT64, ["rows", "tokens"])
    model = graph_of(
        nodes,
        {"input_ids": tokens, "attention_mask": tokens},
        {"logits": (FLOAT, ["rows", 1])},
        {"last": np.array([-1])},
    )
    onnx.save(model, str(tmp_path / "blind.onnx"))
    generator = np.random.default_rng(3)
    save_samples(
        tmp_path / "inputs.npz",
        [
            {"input_ids": generator.integers(1, 50, (1, length)), "attention_mask": np.ones((1, length), np.int64)}
            for length in (3, 9, 20, 5)
        ],
    )
    _, result = run(onnx=tmp_path / "blind.onnx", inputs=tmp_path / "inputs.npz")
    assert [check.passed for check in result.checks] == [True, False]
    assert "heed attention_mask" in result.advice[0]


def test_labels_that_are_not_as_many_as_logits_are_refused(run: Run, onnx_file: Path) -> None:
    with pytest.raises(MigrationError, match="there are 2 labels, and the model gives 8 logits"):
        run(onnx=onnx_file, labels=("a", "b"))


def test_the_fingerprint_changes_with_what_the_result_depends_on(onnx_file: Path, texts: Path, tmp_path: Path) -> None:
    stage, first = ExportStage(), workspace(tmp_path, {}, onnx=onnx_file, dataset=texts)
    before = stage.fingerprint(first)
    assert stage.fingerprint(first) == before
    settings = dataclasses.replace(first.settings, export=ExportSettings(opset=17))
    assert stage.fingerprint(Workspace(settings=settings, work=tmp_path)) != before
    texts.write_text(texts.read_text() + '{"text": "more"}\n')
    assert stage.fingerprint(first) != before
