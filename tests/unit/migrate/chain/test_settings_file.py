from pathlib import Path

import pytest
from npuserve.migrate.chain.settings_file import read_migration
from npuserve.migrate.errors import MigrationError


def written(folder: Path, text: str) -> Path:
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "texts.jsonl").touch()
    file = folder / "migration.toml"
    file.write_text(text)
    return file


def test_tables_are_the_parts_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        language = "zh"
        work = "out"
        repository = "/models"
        [source]
        name = "sentiment"
        checkpoint = "checkpoint"
        labels = ["bad", "good"]
        [compile]
        batches = [1, 8]
        [prove]
        seconds = 2
        """,
    )
    found = read_migration(file, {})
    assert found.work == tmp_path / "out"
    assert found.repository == Path("/models")
    assert found.settings.language == "zh"
    assert found.settings.source.checkpoint == tmp_path / "checkpoint"
    assert found.settings.source.labels == ("bad", "good")
    assert found.settings.compile.batches == (1, 8)
    assert isinstance(found.settings.prove.seconds, float)
    assert found.settings.compare.min_cosine is None


def test_without_a_file_flags_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tagger").mkdir()
    found = read_migration(None, {"source.checkpoint": "tagger"})
    assert found.settings.source.checkpoint == tmp_path / "tagger"
    assert found.settings.source.name == "tagger"
    assert found.work == tmp_path / "tagger-migration"


def test_flags_go_before_the_file_and_are_relative_to_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "model.onnx").touch()
    monkeypatch.chdir(here)
    file = written(tmp_path, '[source]\nname = "m"\ncheckpoint = "checkpoint"\n[serve]\nversion = 3')
    found = read_migration(file, {"source.onnx": "model.onnx", "work": "w", "serve.backend": "onnxruntime"})
    assert found.settings.source.onnx == here / "model.onnx"
    assert found.settings.source.checkpoint is None
    assert found.work == here / "w"
    assert (found.settings.serve.version, found.settings.serve.backend) == (3, "onnxruntime")


SOURCE = '[source]\nname = "m"\ncheckpoint = "checkpoint"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sorce]", "unknown table [sorce], did you mean source?"),
        ("langage = 'zh'", "unknown key langage, did you mean language?"),
        ("[source]\nchekpoint = 'x'", "unknown key source.chekpoint, did you mean checkpoint?"),
        ("[serve]\nzzz = 1", "unknown key serve.zzz, expected "),
        ("source = 'm'", "source must be a table, [source], got 'm'"),
        ("[source]\nname = 1", "source.name must be a text, got 1"),
        ("[source]\ncheckpoint = 1", "source.checkpoint must be a path, got 1"),
        ("[export]\nsamples = 1.5", "export.samples must be a whole number, got 1.5"),
        ("[export]\nsamples = true", "export.samples must be a whole number, got true"),
        ("[prove]\nseconds = 'x'", "prove.seconds must be a number, got 'x'"),
        ("[compile]\nbatches = 1", "compile.batches must be a list, as [1, 2], got 1"),
        ("[compile]\nbatches = [1, 'x']", "compile.batches[1] must be a whole number, got 'x'"),
        (SOURCE + "[export]\nsamples = 0", "export.samples must be 1 to 100000, got 0"),
        (SOURCE + "[compare]\nmax_abs_error = nan", "compare.max_abs_error must be at least 0, got nan"),
        (SOURCE + "[compile]\nbatches = [4, 4]", "compile.batches names a value twice: 4, 4"),
        (SOURCE + "[serve]\nbackend = 'tf'", "serve.backend must be ascend or onnxruntime, got 'tf'"),
        (SOURCE + "[prove]\nconcurrencies = []", "prove.concurrencies must name at least one concurrency"),
        (
            SOURCE + "[prove]\nbaseline = 'there'",
            "prove.baseline must be HOST:PORT of the old server's gRPC, got 'there'",
        ),
        (SOURCE + "dataset = 'none.jsonl'", "source.dataset is not there: "),
        (
            SOURCE + "onnx = 'm.onnx'",
            "source needs exactly one of checkpoint, module and onnx, got checkpoint and onnx",
        ),
        ("[source]\nname = 'm'", "source needs exactly one of checkpoint, module and onnx, got none"),
        (
            "[source]\nname = 'a/b'\ncheckpoint = 'checkpoint'",
            "source.name must be a model's name, as `sentiment`, got",
        ),
        (
            "[source]\nname = 'm'\nmodule = 'no_colon'",
            "source.module must be `package.module:function`, got 'no_colon'",
        ),
        ("[source", "is not TOML: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MigrationError) as caught:
        read_migration(written(tmp_path, text), {})
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"cannot read .*nope\.toml: No such file"):
        read_migration(tmp_path / "nope.toml", {})
