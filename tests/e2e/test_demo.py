"""The demo command itself, as a user runs it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_demo_answers_held_out_sentences_and_stops_its_server(example_command: Command) -> None:
    done = example_command("demo.py", "--count", "4")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^(negative|neutral|positive) +[01]\.\d{3} +\d+\.\d\d  ", done.stdout, re.M)) == 4
    assert len(re.findall(r"^\d+ entit(?:y|ies) ", done.stdout, re.M)) == 4
    assert re.search(r"latency +p50 \d+\.\d\d ms, p99 \d+\.\d\d ms", done.stdout)
    assert "sentiment: 4 rows in 4 executions" in done.stdout
    assert "text in     8 of 8 answers of the ensembles, which tokenize on the server, agree" in done.stdout
    assert "stopped by SIGTERM, exit code 0" in done.stdout
    assert "asking sentiment" in done.stderr


def test_the_demo_answers_a_users_own_sentences(example_command: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("I love this, best flight ever!\n\n", encoding="utf-8")
    done = example_command("demo.py", "--sentences", str(mine), "--text", "Worst service ever in Chicago, I hate it.")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^positive .*I love this", done.stdout, re.M)
    assert re.search(r"^negative .*Worst service", done.stdout, re.M)
    assert "Chicago [geo-loc]" in done.stdout


def test_a_missing_file_of_sentences_is_named(example_command: Command, tmp_path: Path) -> None:
    done = example_command("demo.py", "--sentences", str(tmp_path / "none.txt"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("demo: ")
    assert "none.txt" in done.stderr


def test_a_compiler_failure_is_reported_in_the_compilers_words(example_command: Command, tmp_path: Path) -> None:
    done = example_command("convert.py", "--repository", str(tmp_path), "--precision", "quarter_precision")
    assert done.returncode == 1
    assert "atc failed" in done.stderr
    assert "quarter_precision" in done.stderr
