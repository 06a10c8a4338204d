"""Flags of `npuserve shadow` that cannot be: it ends with a sentence, before anything is made."""

from pathlib import Path

import pytest
from npuserve.cli.main import main


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--reference=here", "--model-repository=."], "--reference must be HOST:PORT, got 'here'"),
        (["--reference=h:1", "--share=2", "--model-repository=."], "--share must be above 0 and at most 1, got 2"),
        (["--reference=h:1", "--", "--model-repository=.", "--frontend=grpcio"], "the native gRPC front end"),
        (["--reference=h:1", "--reference-header=x", "--model-repository=."], "--reference-header takes NAME:VALUE"),
        (["--reference=h:1", "--model-repository=/nowhere"], "--model-repository must be a folder"),
        (["--reference=h:1"], "--model-repository must be given at least once"),
        (["--model-repository=."], "--reference"),
        (["--reference=h:1", "--replay=/nowhere"], "/nowhere is no case of a shadow"),
    ],
)
def test_wrong_flags_end_with_a_sentence(
    flags: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["shadow", *flags])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 1
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
