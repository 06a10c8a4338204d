import json
from pathlib import Path

import pytest
from npuserve.cli.main import main
from support.models import compile_model, tokens

GEARS = ("--input_shape=input_ids:-1,-1;attention_mask:-1,-1", "--dynamic_dims=1,8,1,8;2,8,2,8;2,16,2,16")


@pytest.fixture(scope="module")
def om(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_model(tokens(), tmp_path_factory.mktemp("om") / "tokens", *GEARS)


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    monkeypatch.delenv("NPUSERVE_ACL_LIBRARY", raising=False)


def test_an_om_describes_itself_as_json(om: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(om), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["soc"] == "Ascend910B3"
    assert found["inputs"] == [
        {"name": "input_ids", "dtype": "INT64", "shape": [-1, -1]},
        {"name": "attention_mask", "dtype": "INT64", "shape": [-1, -1]},
    ]
    assert [each["name"] for each in found["outputs"]] == ["logits"]
    assert {"inputs": [[2, 16], [2, 16]], "outputs": [[2, 16, 3]]} in found["gears"]
    assert len(found["gears"]) == 3


def test_an_om_describes_itself_in_tables(om: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(om)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "chip: Ascend910B3"
    assert "| input  | input_ids      | INT64 | -1,-1   |" in lines
    assert "| 2,16      | 2,16           | 2,16,3 |" in lines


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file or directory"), (b"no model", "does not start with an OM header")]
)
def test_what_cannot_be_loaded_is_told_by_name(
    content: bytes | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.om"
    if content is not None:
        path.write_bytes(content * 100)
    assert main(["describe", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"npuserve describe: error: {path}: ")
    assert told in error
