import logging
from pathlib import Path

import pytest
from npuserve.repository.scan import find_model, fingerprint, scan_repositories


def make(repository: Path, *folders: str) -> None:
    for folder in folders:
        (repository / folder).mkdir(parents=True)


def test_models_are_folders_and_versions_are_whole_numbers(tmp_path: Path) -> None:
    make(tmp_path, "bert/1", "bert/10", "bert/2", "empty", ".git/1")
    (tmp_path / "stray.txt").write_text("not a model")
    (tmp_path / "bert" / "3").write_text("not a version")
    scan = scan_repositories([tmp_path])
    assert {name: model.versions for name, model in scan.models.items()} == {"bert": (1, 2, 10), "empty": ()}
    assert scan.models["bert"].config_path == tmp_path / "bert" / "config.pbtxt"
    assert scan.models["bert"].version_path(10) == tmp_path / "bert" / "10"
    assert not scan.failures


@pytest.mark.parametrize(
    ("folder", "warning"),
    [
        ("01", "contains leading zeros"),
        ("0", "contains leading zeros"),
        ("notes", "fails to convert to integral number"),
        ("-1", "fails to convert to integral number"),
        ("1.5", "fails to convert to integral number"),
        ("²", "fails to convert to integral number"),
        ("9223372036854775808", "fails to convert to integral number"),
    ],
)
def test_other_folders_of_a_model_are_passed_over_with_a_warning(
    tmp_path: Path, folder: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "bert/7", f"bert/{folder}")
    with caplog.at_level(logging.WARNING):
        assert scan_repositories([tmp_path]).models["bert"].versions == (7,)
    (record,) = caplog.records
    assert f"ignore version directory '{folder}'" in record.getMessage()
    assert warning in record.getMessage()


def test_the_greatest_version_is_that_of_64_bits(tmp_path: Path) -> None:
    make(tmp_path, "bert/9223372036854775807")
    assert scan_repositories([tmp_path]).models["bert"].versions == (9223372036854775807,)


def test_folders_with_a_meaning_of_their_own_are_no_versions_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "bert/1", "bert/warmup", "bert/initial_state", "bert/configs")
    assert scan_repositories([tmp_path]).models["bert"].versions == (1,)
    assert not caplog.records


def test_a_name_in_two_repositories_is_loadable_from_neither(tmp_path: Path) -> None:
    make(tmp_path, "a/bert/1", "a/only_a/1", "b/bert/1", "c/bert/1")
    scan = scan_repositories([tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert list(scan.models) == ["only_a"]
    assert scan.failures == {"bert": "model appears in two or more repositories"}


def test_a_folder_that_cannot_be_listed_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "bad/1", "good/1")
    listing = Path.iterdir

    def iterdir(path: Path) -> object:
        if path.name == "bad":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    scan = scan_repositories([tmp_path])
    assert list(scan.models) == ["good"]
    assert "Permission denied" in scan.failures["bad"]


def test_links_that_lead_nowhere_or_in_a_circle_are_files_like_any(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "1").mkdir(parents=True)
    (folder / "nowhere").symlink_to("/no/such/file")
    (folder / "1" / "circle").symlink_to("circle")
    (folder / "upwards").symlink_to(folder)
    directory = find_model([tmp_path], "model")
    assert directory is not None
    before = fingerprint(directory)
    assert fingerprint(directory) == before
    (folder / "nowhere").unlink()
    assert fingerprint(directory) != before
