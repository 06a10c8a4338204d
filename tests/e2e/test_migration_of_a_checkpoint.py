"""The whole chain from a checkpoint's folder, as the page on migrations begins: a service, and a report in Chinese."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import write_checkpoint, write_dataset

TAGS = ("O", "B-city", "I-city")
# Speed is chance on a machine that does other things.
SETTINGS = """
[prove]
concurrencies = [1, 4]
seconds = 0.4
rounds = 2
min_qps_ratio = 0.001
max_p99_ratio = 1000
"""


def migrate(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "migration.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "npuserve.cli.main", "migrate", "--work", "work", *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what each stage found, by its folder."""
    found = sorted((folder / "work").glob("S?_*/result.json"))
    return {path.parent.name: json.loads(path.read_text())["result"] for path in found}


def test_a_classifier_becomes_a_service_and_a_report(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "film")
    words = ("good", "very good", "bad", "it was a very bad film", "the film was good", "a film in paris")
    rows = ({"text": text, "label": ("bad", "so", "good")[place % 3]} for place, text in enumerate(words))
    write_dataset(tmp_path / "held_out.jsonl", *rows)
    flags = ("--checkpoint", "film", "--dataset", "held_out.jsonl", "--repository", "models", "--language", "zh")
    done = migrate(tmp_path, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "models" / "film" / "1" / "model.om").is_file()
    assert (tmp_path / "models" / "film" / "labels.txt").read_text().split() == ["bad", "so", "good"]
    found = results(tmp_path)
    assert list(found) == ["S1_export", "S2_compile", "S3_compare", "S4_serve", "S5_prove"]
    assert all(each["commands"] for each in found.values())
    new, old = found["S5_prove"]["figures"]["task"]
    assert (new["total"], new["correct"]) == (6, old["correct"])
    report = (tmp_path / "work" / "report" / "report.md").read_text(encoding="utf-8")
    assert "film 迁移报告" in report
    assert said_in_english(report, found) == []
    # A second run finds nothing to do.
    again = migrate(tmp_path, *flags)
    assert (again.returncode, again.stdout.count("kept")) == (0, 5)


def said_in_english(report: str, found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the stages' names of checks, notes and artifacts that stand in a Chinese report as they were said."""
    plain = report.replace("\\", "")
    said = [
        text
        for result in found.values()
        for text in (*(check["name"] for check in result["checks"]), *result["notes"], *result["artifacts"].values())
    ]
    assert len(said) > 20
    return [text for text in said if re.search(rf"[|*-] {re.escape(text)}( \||$)", plain, re.MULTILINE)]


@pytest.mark.parametrize("labelled", [True, False])
def test_a_tagger_is_judged_by_its_entities_if_they_are_known(tmp_path: Path, labelled: bool) -> None:
    write_checkpoint(tmp_path / "places", task="token_classification", labels=TAGS)
    texts = (("it", "was", "paris"), ("a", "film", "in", "paris"), ("paris",), ("very", "good"))
    rows = [
        {"words": words} | ({"labels": ["B-city" if word == "paris" else "O" for word in words]} if labelled else {})
        for words in texts
    ]
    write_dataset(tmp_path / "held_out.jsonl", *rows)
    done = migrate(tmp_path, "--checkpoint", "places", "--task", "token_classification", "--dataset", "held_out.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    prove = results(tmp_path)["S5_prove"]
    first = prove["checks"][0]["name"]
    if labelled:
        assert prove["figures"]["task"][0]["entities"] == 3
        assert [check["name"] for check in prove["checks"][:2]] == ["accuracy drop", "drop of the entities' F1"]
        return
    assert first == "answers with the same class as the baseline's"
    assert "task" not in prove["figures"]
    assert any("no labels" in note for note in prove["notes"])
    assert "the texts have no labels" in (tmp_path / "work" / "report" / "report.md").read_text(encoding="utf-8")
