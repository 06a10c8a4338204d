import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.model_config import read_model_config
from npuserve.migrate.chain.settings import CompareSettings, CompileSettings, ServeSettings, Settings, SourceSettings
from npuserve.migrate.chain.tensors import load_samples
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.model_folder import Gears, ModelParts, golden, read_gears, write_model
from support.migrated import token_samples
from support.models import tokens

GEARS = Gears(batches=(1, 4), lengths=(8, 16), count=4)


@pytest.fixture
def parts(tmp_path: Path) -> ModelParts:
    graph, om = tmp_path / "model.onnx", tmp_path / "model.om"
    onnx.save(tokens(), str(graph))
    om.write_bytes(b"om")
    samples = token_samples([4, 6, 8])
    answers = [{"logits": np.ones((1, 4, 3), np.float32)} for _ in samples]
    return ModelParts(compiled=om, gears=GEARS, graph=graph, labels=("a", "b", "c"), samples=samples, answers=answers)


def settings(parts: ModelParts, serve: ServeSettings, **compiling: object) -> Settings:
    source = SourceSettings(name="words", onnx=parts.graph)
    return Settings(source=source, serve=serve, compile=CompileSettings(**compiling))  # type: ignore[arg-type]


def written(parts: ModelParts, folder: Path, serve: ServeSettings | None = None, **compiling: object) -> ModelConfig:
    write_model(settings(parts, serve or ServeSettings(), **compiling), parts, folder)
    return read_model_config(folder / "words" / "config.pbtxt")


def test_the_folder_has_all_that_the_server_reads(parts: ModelParts, tmp_path: Path) -> None:
    config = written(parts, tmp_path / "repository", ServeSettings(version=3))
    model = tmp_path / "repository" / "words"
    files = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    assert files == {
        "config.pbtxt",
        "labels.txt",
        "3/model.om",
        "3/golden.npz",
        "warmup/input_ids",
        "warmup/attention_mask",
    }
    assert config.max_batch_size == 4
    assert config.output[0].label_filename == "labels.txt"


def test_the_warm_up_is_a_real_request(parts: ModelParts, tmp_path: Path) -> None:
    (warmup,) = written(parts, tmp_path / "repository").model_warmup
    content = (tmp_path / "repository" / "words" / "warmup" / warmup.inputs["input_ids"].input_data_file).read_bytes()
    assert list(warmup.inputs["input_ids"].dims) == [4]
    np.testing.assert_array_equal(np.frombuffer(content, "<i8"), parts.samples[0]["input_ids"][0])


def test_an_onnx_model_gets_the_gears_that_are_asked_for(parts: ModelParts, tmp_path: Path) -> None:
    onnx_parts = replace(parts, compiled=parts.graph, gears=None)
    backend = ServeSettings(backend="onnxruntime")
    config = written(onnx_parts, tmp_path / "one", backend, batches=(1, 2), lengths=(8, 16))
    assert config.parameters["gears"].string_value == "1,2 x 8,16"
    assert config.max_batch_size == 2
    assert "gears" not in written(onnx_parts, tmp_path / "two", backend).parameters


def test_an_old_config_brings_its_own_labels_and_warm_up(parts: ModelParts, tmp_path: Path) -> None:
    old = tmp_path / "old"
    (old / "warmup").mkdir(parents=True)
    (old / "warmup" / "ids").write_bytes(bytes(8))
    (old / "classes.txt").write_text("x\ny\nz\n")
    (old / "config.pbtxt").write_text(
        """
        platform: "onnxruntime_onnx" max_batch_size: 2
        input [ { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] },
                { name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] } ]
        output { name: "logits" data_type: TYPE_FP32 dims: [ -1, 3 ] label_filename: "classes.txt" }
        model_warmup { name: "w" batch_size: 1 }
        """
    )
    config = written(parts, tmp_path / "repository", ServeSettings(config=old / "config.pbtxt"))
    model = tmp_path / "repository" / "words"
    assert (config.backend, config.platform, config.max_batch_size) == ("ascend", "", 2)
    assert [warmup.name for warmup in config.model_warmup] == ["w"]
    assert (model / "classes.txt").read_text() == "x\ny\nz\n"
    assert (model / "warmup" / "ids").exists()
    assert not (model / "labels.txt").exists()


def test_weights_beside_the_graph_come_along(parts: ModelParts, tmp_path: Path) -> None:
    (tmp_path / "model.onnx.data").write_bytes(b"weights")
    onnx_parts = replace(parts, compiled=parts.graph, gears=None)
    written(onnx_parts, tmp_path / "copied", ServeSettings(backend="onnxruntime"))
    assert (tmp_path / "copied" / "words" / "1" / "model.onnx.data").read_bytes() == b"weights"
    written(replace(onnx_parts, is_linked=True), tmp_path / "linked", ServeSettings(backend="onnxruntime"))
    assert (tmp_path / "linked" / "words" / "1" / "model.onnx").resolve() == parts.graph


def test_golden_samples_are_few_and_from_everywhere(parts: ModelParts) -> None:
    samples = [{"x": np.array([number])} for number in range(20)]
    kept = golden(samples, [{"y": sample["x"] * 2} for sample in samples])
    assert [int(each["input:x"][0]) for each in kept] == [0, 2, 5, 7, 10, 12, 15, 17]
    assert all(each["output:y"] == 2 * each["input:x"] for each in kept)


def test_the_golden_file_is_read_as_samples_are(parts: ModelParts, tmp_path: Path) -> None:
    written(parts, tmp_path)
    kept = load_samples(tmp_path / "words" / "1" / "golden.npz")
    np.testing.assert_array_equal(kept[2]["input:input_ids"], parts.samples[2]["input_ids"])


def test_gears_are_read_as_the_compiler_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "gears.json"
    path.write_text(json.dumps({"batches": [1, 4], "lengths": [8, 16], "gears": [{}] * 4}))
    assert read_gears(path) == GEARS
    path.write_text("[1, 2]")
    with pytest.raises(MigrationError, match="does not tell batches, lengths and gears"):
        read_gears(path)


def test_golden_answers_are_those_that_are_served_in_the_shapes_of_the_models_file() -> None:
    samples, answers = [{"x": np.ones(1)}], [{"y": np.ones((1, 4)), "hidden": np.ones((1, 9))}]
    (kept,) = golden(samples, answers, {"x", "y"})
    assert {name: array.shape for name, array in kept.items()} == {"input:x": (1,), "output:y": (1, 4)}


def test_a_wider_limit_of_the_comparison_holds_for_the_load_too(parts: ModelParts, tmp_path: Path) -> None:
    wide = replace(settings(parts, ServeSettings()), compare=CompareSettings(min_cosine=0.98))
    assert write_model(wide, parts, tmp_path / "wide").parameters["golden_min_cosine"].string_value == "0.98"
    assert "golden_min_cosine" not in written(parts, tmp_path / "usual").parameters


def test_int8s_answers_are_judged_by_their_error_when_they_are_loaded(parts: ModelParts, tmp_path: Path) -> None:
    parameters = written(parts, tmp_path / "repository", precision="int8").parameters
    assert parameters["golden_min_cosine"].string_value == "-1"
    assert parameters["golden_max_abs_error"].string_value == "0.5"  # half of the largest answer, which is 1
