import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from npuserve.migrate.chain.settings import CompileSettings, Settings, SourceSettings
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.export.example_inputs import read_inputs
from npuserve.migrate.triton import Migration, Outcome, plan_migration, write
from onnx import helper
from support.models import FLOAT, INT64, add_mul, graph_input, onnx_model, tokens

Model = Callable[..., Path]
PAIR = """
platform: "onnxruntime_onnx" max_batch_size: 8
input [ { name: "a" data_type: TYPE_FP32 dims: [ 4 ] }, { name: "b" data_type: TYPE_FP32 dims: [ 4 ] } ]
output { name: "total" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" }
"""


class Chain:
    """Stands for the chain: keeps the settings, fails for the models named, writes a folder for the others."""

    def __init__(self, *failing: str) -> None:
        self.asked: list[Settings] = []
        self.failing = failing

    def __call__(self, settings: Settings, work: Path) -> Path:
        self.asked.append(settings)
        name = settings.source.name
        if name in self.failing:
            raise MigrationError("the cosine is 0.5, must be above 0.999")
        model = work / "S4_serve" / "repository" / name
        (model / str(settings.serve.version)).mkdir(parents=True)
        (model / str(settings.serve.version) / "model.om").write_bytes(b"om")
        (model / "config.pbtxt").write_text(f'name: "{name}" backend: "ascend"')
        return model.parent


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    return Migration(
        target=tmp_path / "new",
        work=tmp_path / "work",
        template=Settings(source=SourceSettings(name="any", onnx=tmp_path)),
    )


def save(graph: onnx.ModelProto, folder: Path, *versions: int) -> None:
    for version in versions or (1,):
        onnx.save(graph, str(folder / str(version) / "model.onnx"))


def embedding() -> onnx.ModelProto:
    """Tokens looked up in a table, as encoders begin."""
    return onnx_model(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["mask_3"]),
            helper.make_node("Mul", ["rows", "mask_3"], ["logits"]),
        ],
        [graph_input(name, INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")],
        [graph_input("logits", FLOAT, ["batch", "length", 3])],
        {"table": np.ones((100, 3), np.float32), "last": np.array([-1])},
    )


def run(repository: Path, migration: Migration, chain: Chain) -> Sequence[Outcome]:
    return write(plan_migration(repository), migration, chain, lambda text: None)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_repository_is_written_beside_the_old_one(repository: Path, model: Model, migration: Migration) -> None:
    bert = model("bert", PAIR + "version_policy { all {} }", 1, 3)
    save(add_mul(), bert, 1, 3)
    (bert / "labels.txt").write_text("a\n")
    (bert / "README").write_text("of its owners")
    words = model("words", 'backend: "python"', file="model.py")
    (words / "1" / "__pycache__").mkdir()
    (words / "1" / "__pycache__" / "model.pyc").write_bytes(b"")
    model("plan", 'backend: "tensorrt"', file="model.plan")
    before = files(repository)
    outcomes = run(repository, migration, Chain())
    assert files(repository) == before
    assert files(migration.target) == {
        "bert/config.pbtxt", "bert/labels.txt", "bert/README", "bert/1/model.om", "bert/3/model.om",
        "words/config.pbtxt", "words/1/model.py",
        "migration.json",
    }  # fmt: skip
    assert [(each.name, each.status, each.versions, each.was, each.backend) for each in outcomes] == [
        ("bert", "converted", (1, 3), "onnxruntime", "ascend"),
        ("plan", "left", (), "tensorrt", ""),
        ("words", "copied", (1,), "python", "python"),
    ]
    told = json.loads((migration.target / "migration.json").read_text())
    assert told["counts"] == {"converted": 1, "copied": 1, "left": 1}
    assert told["models"][1]["reason"].startswith("a TensorRT plan is machine code")


def test_each_version_is_converted_with_the_old_config(repository: Path, model: Model, migration: Migration) -> None:
    folder = model("bert", PAIR)
    save(add_mul(), folder)
    chain = Chain()
    template = replace(migration.template, compile=CompileSettings(max_batch=16, batches=(1, 4, 16)))
    run(repository, replace(migration, template=template), chain)
    (settings,) = chain.asked
    assert (settings.source.name, settings.source.onnx) == ("bert", folder / "1" / "model.onnx")
    assert settings.serve.config == folder / "config.pbtxt"
    assert (settings.compile.max_batch, settings.compile.batches) == (8, (1, 4))
    assert settings.source.inputs is not None
    samples = read_inputs(settings.source.inputs)
    assert {name: array.shape for name, array in samples[0].items()} == {"a": (1, 4), "b": (1, 4)}
    assert (samples[0]["a"] != samples[1]["a"]).any()


def texts(dims: str, batch: int = 8) -> str:
    inputs = ", ".join(
        f'{{ name: "{name}" data_type: TYPE_INT64 dims: [ {dims} ] }}' for name in ("input_ids", "attention_mask")
    )
    return (
        f'backend: "onnxruntime" max_batch_size: {batch} input [ {inputs} ] '
        f'output {{ name: "logits" data_type: TYPE_FP32 dims: [ {dims}, 3 ] }}'
    )


def test_texts_of_any_length_are_made_up_of_all_lengths(repository: Path, model: Model, migration: Migration) -> None:
    save(tokens(), model("m", texts("-1")))
    chain = Chain()
    run(repository, migration, chain)
    (settings,) = chain.asked
    assert settings.compile.lengths == ()
    assert settings.source.inputs is not None
    samples = read_inputs(settings.source.inputs)
    assert {each["input_ids"].shape[1] for each in samples} == {4, 8, 12, 16, 20, 24, 28, 32}
    assert all(each["attention_mask"].all() for each in samples)


def test_a_vocabulary_is_left_to_the_export_to_find(repository: Path, model: Model, migration: Migration) -> None:
    save(embedding(), model("m", texts("-1")))
    chain = Chain()
    run(repository, migration, chain)
    assert chain.asked[0].source.inputs is None


@pytest.mark.parametrize(("dims", "batch"), [("64", 8), ("2, 64", 0)])
def test_texts_of_one_length_are_compiled_for_it(
    repository: Path, model: Model, migration: Migration, dims: str, batch: int
) -> None:
    save(tokens(), model("m", texts(dims, batch)))
    chain = Chain()
    run(repository, migration, chain)
    (settings,) = chain.asked
    assert (settings.compile.lengths, settings.export.max_length) == ((64,), 64)
    assert settings.source.inputs is not None
    assert {each["input_ids"].shape[1] for each in read_inputs(settings.source.inputs)} == {64}


def test_without_a_config_the_graph_tells(repository: Path, model: Model, migration: Migration) -> None:
    folder = model("m", "")
    (folder / "config.pbtxt").unlink()
    save(add_mul(), folder)
    chain = Chain()
    run(repository, migration, chain)
    assert chain.asked[0].serve.config is None
    assert chain.asked[0].source.inputs is not None


def test_requests_of_its_own_go_before_made_up_ones(
    repository: Path, model: Model, migration: Migration, tmp_path: Path
) -> None:
    save(tokens(), model("one", texts("-1")))
    folder = model("two", texts("-1").replace("3 ]", '3 ] label_filename: "tags"'))
    save(tokens(), folder)
    (folder / "tags").write_text("a\nb\nc\n")
    for name in ("one.npz", "two.jsonl", "two.tokenizer.json"):
        (tmp_path / name).touch()
    chain = Chain()
    run(repository, replace(migration, samples=tmp_path), chain)
    one, two = (settings.source for settings in chain.asked)
    assert one.inputs == tmp_path / "one.npz"
    assert (two.dataset, two.labels) == (tmp_path / "two.jsonl", ("a", "b", "c"))


@pytest.mark.parametrize("keeps_onnx", [False, True])
def test_a_model_that_does_not_pass_is_left_or_stays_on_onnx_runtime(
    repository: Path, model: Model, migration: Migration, keeps_onnx: bool
) -> None:
    save(add_mul(), model("bad", PAIR))
    save(add_mul(), model("good", PAIR))
    bad, good = run(repository, replace(migration, keeps_onnx=keeps_onnx), Chain("bad"))
    assert good.status == "converted"
    assert bad.reason.startswith("the cosine is 0.5")
    assert (bad.status, bad.backend) == (("copied", "onnxruntime") if keeps_onnx else ("left", ""))
    assert (migration.target / "bad" / "1" / "model.onnx").exists() is keeps_onnx


ENSEMBLE = """
platform: "ensemble"
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step { model_name: "bad" model_version: -1
    input_map { key: "a" value: "x" } output_map { key: "total" value: "y" } }
}
"""


def test_an_ensemble_of_a_model_that_did_not_pass_is_left_too(
    repository: Path, model: Model, migration: Migration
) -> None:
    save(add_mul(), model("bad", PAIR))
    model("all", ENSEMBLE, file="")
    outcomes = run(repository, migration, Chain("bad"))
    assert [each.status for each in outcomes] == ["left", "left"]
    assert files(migration.target) == {"migration.json"}


def test_a_machine_that_lacks_something_leaves_no_repository(
    repository: Path, model: Model, migration: Migration
) -> None:
    save(add_mul(), model("bert", PAIR))

    def run_nothing(settings: Settings, work: Path) -> Path:
        raise SetupError("no room")

    with pytest.raises(SetupError):
        write(plan_migration(repository), migration, run_nothing, lambda text: None)
    assert not migration.target.exists()
    assert [path.name for path in migration.target.parent.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize(
    ("place", "sentence"), [("old", "beside"), ("old/new", "beside"), (".", "beside"), ("work", "already")]
)
def test_nothing_that_is_there_is_written_to(
    repository: Path, model: Model, migration: Migration, place: str, sentence: str
) -> None:
    model("bert", PAIR)
    (repository.parent / "work").mkdir()
    (repository.parent / "work" / "file").touch()
    before = files(repository.parent)
    with pytest.raises(MigrationError, match=sentence):
        run(repository, replace(migration, target=repository.parent / place), Chain())
    assert files(repository.parent) == before
