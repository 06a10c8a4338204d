"""What cannot be exported ends in a sentence that says what is wrong, and what would be right."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from npuserve.migrate.chain.settings import ExportSettings, SourceSettings
from npuserve.migrate.chain.tensors import save_samples
from npuserve.migrate.errors import MigrationError, SetupError
from npuserve.migrate.export.checkpoint import load_checkpoint, read_config
from npuserve.migrate.export.inputs import gather
from npuserve.migrate.export.job import Job
from npuserve.migrate.export.module import load_module
from npuserve.migrate.export.onnx_file import read_onnx
from npuserve.migrate.export.packages import imported
from npuserve.migrate.export.running import run_onnx
from npuserve.migrate.export.torch_process import run_job
from npuserve.migrate.export.tracing import Traceable, answer, check_repeatable, named_outputs, trace
from support.checkpoints import write_checkpoint, write_dataset, write_tokenizer
from support.models import identity

IDS = {"input_ids": np.array([[1, 2, 3]])}


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "classifier")


def config_folder(folder: Path, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    return folder


def refusal(caught: pytest.ExceptionInfo[MigrationError]) -> str:
    return " ".join((str(caught.value), *caught.value.advice))


class TestCheckpoints:
    def test_another_architecture_is_named(self, tmp_path: Path) -> None:
        folder = config_folder(tmp_path / "gpt", model_type="gpt2", architectures=["GPT2LMHeadModel"])
        with pytest.raises(MigrationError, match=r"wrong architecture: gpt2 \(GPT2LMHeadModel\) is not of") as caught:
            read_config(folder, "classification")
        assert "source.module" in refusal(caught)

    def test_a_model_without_a_head_is_refused(self, tmp_path: Path) -> None:
        folder = config_folder(tmp_path / "bare", model_type="bert", architectures=["BertForMaskedLM"])
        with pytest.raises(MigrationError, match="has no head for the task classification") as caught:
            read_config(folder, "classification")
        assert "fine-tuned" in refusal(caught)

    def test_the_other_head_is_told_with_its_task(self, checkpoint: Path) -> None:
        with pytest.raises(MigrationError, match="BertForSequenceClassification, which is for the task") as caught:
            read_config(checkpoint, "token_classification")
        assert "set source.task = 'classification'" in refusal(caught)

    def test_missing_files_are_named(self, tmp_path: Path, checkpoint: Path) -> None:
        with pytest.raises(MigrationError, match="there is no folder"):
            read_config(tmp_path / "none", "classification")
        (tmp_path / "empty").mkdir()
        with pytest.raises(MigrationError, match=r"has no config\.json"):
            read_config(tmp_path / "empty", "classification")
        partial = tmp_path / "partial"
        shutil.copytree(checkpoint, partial)
        (partial / "model.safetensors").unlink()
        with pytest.raises(MigrationError, match=r"has no weights: there is none of model\.safetensors"):
            read_config(partial, "classification")
        (partial / "config.json").write_text("{")
        with pytest.raises(MigrationError, match="cannot be read"):
            read_config(partial, "classification")

    def test_broken_and_incomplete_weights_are_refused(self, tmp_path: Path, checkpoint: Path) -> None:
        from safetensors.torch import load_file, save_file

        broken = tmp_path / "broken"
        shutil.copytree(checkpoint, broken)
        weights = load_file(broken / "model.safetensors")
        del weights["classifier.weight"]
        save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(
            MigrationError, match=r"lack 1 that BertForSequenceClassification needs, as classifier\.weight"
        ):
            load_checkpoint(broken, "classification")
        (broken / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
        with pytest.raises(MigrationError, match="cannot be loaded"):
            load_checkpoint(broken, "classification")

    def test_an_unknown_task_is_refused(self, checkpoint: Path) -> None:
        with pytest.raises(MigrationError, match="must be classification or token_classification"):
            read_config(checkpoint, "translation")


class TestModules:
    @pytest.mark.parametrize("path", ["module", ":build", "module:"])
    def test_a_path_without_a_function_is_refused(self, path: str) -> None:
        with pytest.raises(MigrationError, match=r"must be 'package\.module:function'"):
            load_module(path, ())

    def test_one_that_cannot_be_imported_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.path", [*sys.path])
        with pytest.raises(MigrationError, match="'not_there_at_all' cannot be imported") as caught:
            load_module("not_there_at_all:build", ())
        assert "source.python_path" in refusal(caught)
        (tmp_path / "broken_module.py").write_text("1 / 0")
        with pytest.raises(MigrationError, match="ZeroDivisionError"):
            load_module("broken_module:build", (tmp_path,))

    @pytest.mark.parametrize(
        ("function", "sentence"),
        [("absent", "has no 'absent'"), ("number", "returned int"), ("broken", "failed: OSError: no weights")],
    )
    def test_one_that_gives_no_module_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, sentence: str
    ) -> None:
        monkeypatch.setattr("sys.path", [*sys.path])
        text = "def number():\n    return 3\n\ndef broken():\n    raise OSError('no weights')\n"
        (tmp_path / "three_functions.py").write_text(text)
        with pytest.raises(MigrationError, match=sentence):
            load_module(f"three_functions:{function}", (tmp_path,))

    def test_inputs_that_do_not_fit_are_named(self) -> None:
        loaded = Traceable(torch.nn.Linear(4, 2), False)
        with pytest.raises(MigrationError, match=r"forward takes \(input\), the inputs are \(a, b\)"):
            loaded.bound_to({"a": np.zeros(1), "b": np.zeros(1)})
        one = {"x": np.zeros((1, 3), np.float32)}
        with pytest.raises(MigrationError, match=r"do not fit: forward failed on x float32\[1, 3\]"):
            answer(loaded.bound_to(one), one)

    def test_one_that_answers_differently_each_time_is_refused(self) -> None:
        class Counts(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("seen", torch.zeros(4))

            def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
                self.seen.index_add_(0, input_ids[0], torch.ones(input_ids.shape[1]))  # type: ignore[operator]
                return self.seen.clone()  # type: ignore[operator]

        with pytest.raises(MigrationError, match="answers the same input differently") as caught:
            check_repeatable(Traceable(Counts(), False, ("input_ids",)), IDS)
        assert "clone it first" in refusal(caught)

    def test_one_that_decides_on_values_is_refused(self, tmp_path: Path) -> None:
        class Decides(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x if x.sum() > 0 else -x

        sample = {"x": np.ones((1, 4), np.float32)}
        with pytest.raises(MigrationError, match=r"cannot be traced: .*[Dd]ata-dependent") as caught:
            trace(Traceable(Decides(), False, ("x",)), [sample], tmp_path / "model.onnx", ("y",), 18)
        assert "decisions in forward" in refusal(caught)

    def test_one_that_returns_no_tensor_is_refused(self) -> None:
        with pytest.raises(MigrationError, match="returned str, in which there is no tensor"):
            named_outputs("answer")


class TestGraphs:
    def test_what_is_no_onnx_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MigrationError, match="there is no file"):
            read_onnx(tmp_path / "none.onnx")
        for content in (b"no protobuf at all", b""):
            (tmp_path / "text.onnx").write_bytes(content)
            with pytest.raises(MigrationError, match="is no ONNX file"):
                read_onnx(tmp_path / "text.onnx")

    def test_a_graph_that_does_not_check_is_refused(self, tmp_path: Path) -> None:
        model = identity()
        model.graph.node[0].op_type = "Idendity"
        onnx.save(model, str(tmp_path / "wrong.onnx"))
        with pytest.raises(MigrationError, match=r"is not valid ONNX: .*Idendity"):
            read_onnx(tmp_path / "wrong.onnx")

    def test_more_than_two_gigabytes_are_refused_before_they_are_read(self, tmp_path: Path) -> None:
        model = identity()
        table = onnx.TensorProto(name="table", dims=[300_000, 1800], data_type=onnx.TensorProto.FLOAT)
        table.external_data.add(key="location", value="table.bin")
        table.data_location = onnx.TensorProto.EXTERNAL
        model.graph.initializer.append(table)
        (tmp_path / "large.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(
            MigrationError, match=r"large\.onnx has 2\.2 GB with its weights, and more than 2 GB"
        ) as caught:
            read_onnx(tmp_path / "large.onnx")
        assert "half()" in caught.value.advice[0]

    def test_an_opset_that_nobody_knows_yet_is_told(self, tmp_path: Path) -> None:
        model = identity()
        model.opset_import[0].version = 99
        onnx.save(model, str(tmp_path / "future.onnx"))
        with pytest.raises(
            MigrationError, match=r"future\.onnx is of opset 99, and onnx .* knows those up to"
        ) as caught:
            read_onnx(tmp_path / "future.onnx")
        assert "opset 18" in caught.value.advice[0]

    def test_an_operator_that_onnx_runtime_does_not_know_is_named(self) -> None:
        model = identity()
        model.opset_import.append(onnx.helper.make_opsetid("org.example", 1))
        model.graph.node[0].op_type, model.graph.node[0].domain = "Enchant", "org.example"
        with pytest.raises(MigrationError, match=r"ONNX Runtime does not know, org\.example::Enchant: there"):
            run_onnx(model, [{"x": np.ones((1, 4), np.float32)}])

    def test_weights_that_lie_beside_and_are_missing_are_told(self, tmp_path: Path) -> None:
        model = identity()
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(512, np.float32), "weights"))
        path = tmp_path / "outside.onnx"
        onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
        (tmp_path / "weights.bin").unlink()
        with pytest.raises(MigrationError, match=r"outside\.onnx") as caught:
            read_onnx(path)
        assert "weights" in refusal(caught)


class TestInputs:
    def gathered(self, tmp_path: Path, **source: Any) -> Any:
        settings = SourceSettings(name="m", module="m:f", **source)
        (tmp_path / "out").mkdir(exist_ok=True)
        return gather(settings, ExportSettings(), tmp_path / "out", None)

    def test_a_module_needs_some(self, tmp_path: Path) -> None:
        with pytest.raises(MigrationError, match=r"neither source\.dataset nor source\.inputs"):
            self.gathered(tmp_path)

    def test_a_labelled_set_needs_a_tokenizer(self, tmp_path: Path) -> None:
        dataset = write_dataset(tmp_path / "set.jsonl", {"text": "good"})
        with pytest.raises(MigrationError, match=r"needs a tokenizer, and there is none beside the model"):
            self.gathered(tmp_path, dataset=dataset)
        (tmp_path / "tokenizer.json").write_text("{}")
        with pytest.raises(MigrationError, match=r"tokenizer\.json cannot be read"):
            self.gathered(tmp_path, dataset=dataset, tokenizer=tmp_path / "tokenizer.json")

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("{", "line 2: this is no JSON"),
            ("[1]", "line 2: expected a JSON object"),
            ('{"label": "a"}', "line 2: expected `text`, a string, or `words`"),
            ('{"words": []}', "line 2: expected `text`"),
            ('{"words": ["a"], "labels": ["O"]}', "some lines have `text`, others `words`"),
        ],
    )
    def test_a_line_that_is_no_row_is_named(self, tmp_path: Path, line: str, sentence: str) -> None:
        write_tokenizer(tmp_path / "tokenizer.json")
        (tmp_path / "set.jsonl").write_text(f'{{"text": "good"}}\n{line}\n')
        with pytest.raises(MigrationError, match=sentence):
            self.gathered(tmp_path, dataset=tmp_path / "set.jsonl", tokenizer=tmp_path / "tokenizer.json")

    def test_an_empty_set_is_refused(self, tmp_path: Path) -> None:
        write_tokenizer(tmp_path / "tokenizer.json")
        (tmp_path / "set.jsonl").write_text("\n")
        with pytest.raises(MigrationError, match="has no lines"):
            self.gathered(tmp_path, dataset=tmp_path / "set.jsonl", tokenizer=tmp_path / "tokenizer.json")

    def test_arrays_of_different_rows_are_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "in.npz", a=np.zeros((2, 3)), b=np.zeros((3, 3)))
        with pytest.raises(MigrationError, match=r"must have the same first axis.*a is \[2, 3\], b is \[3, 3\]"):
            self.gathered(tmp_path, inputs=tmp_path / "in.npz")
        (tmp_path / "in.npz").write_bytes(b"no archive")
        with pytest.raises(MigrationError, match="cannot read"):
            self.gathered(tmp_path, inputs=tmp_path / "in.npz")


class TestTheProcess:
    def job(self, tmp_path: Path, module: str) -> Job:
        save_samples(tmp_path / "in.npz", [{"x": np.ones((1, 4), np.float32)}])
        return Job(
            samples=tmp_path / "in.npz",
            answers=tmp_path / "out.npz",
            checkpoint=None,
            module=module,
            python_path=(tmp_path,),
            task="classification",
            opset=18,
        )

    def test_one_that_dies_is_told_with_its_last_words(self, tmp_path: Path) -> None:
        text = (
            "import os, sys\ndef build():\n    print('out of patience', file=sys.stderr, flush=True)\n    os.abort()\n"
        )
        (tmp_path / "dying.py").write_text(text)
        told: list[str] = []
        with pytest.raises(
            MigrationError, match=f"killed by signal {signal.SIGABRT.value}: .*out of patience"
        ) as caught:
            run_job(self.job(tmp_path, "dying:build"), tmp_path / "model.onnx", tmp_path / "export.log", told.append)
        assert "export.log" in refusal(caught)
        assert "loading the model" in told
        assert "out of patience" in (tmp_path / "export.log").read_text()
        left = {each.name for each in tmp_path.iterdir()} - {"__pycache__"}
        assert left == {"in.npz", "dying.py", "export.log"}

    def test_a_refusal_comes_across_with_its_advice(self, tmp_path: Path) -> None:
        with pytest.raises(MigrationError, match="'nothing_here' cannot be imported") as caught:
            run_job(self.job(tmp_path, "nothing_here:f"), tmp_path / "model.onnx", tmp_path / "log", lambda text: None)
        assert caught.value.advice == ("list the folder that holds it in source.python_path",)

    def test_it_goes_when_the_stage_is_gone(self, tmp_path: Path) -> None:
        (tmp_path / "waiting.py").write_text("import time\ndef build():\n    time.sleep(600)\n")
        self.job(tmp_path, "waiting:build").write(tmp_path / "job.json")
        command = [
            sys.executable,
            "-m",
            "npuserve.migrate.export.torch_child",
            str(tmp_path / "job.json"),
            str(tmp_path),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "loading the model\n"
            process.stdin.close()
            assert process.wait(timeout=60) == 1


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(SetupError, match=r"needs the package no_such_package.*pip install 'npuserve\[convert\]'"):
        imported("no_such_package")
