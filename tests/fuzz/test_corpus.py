"""Replays the corpus of each fuzz target, its seeds, and changed copies of both; `make fuzz` looks for more."""

import os
import subprocess
from pathlib import Path

import pytest
from fuzz.seeds import write_seeds

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("NPUSERVE_NATIVE_BUILD", ROOT / "build" / "editable"))
MUTATIONS = 20_000


@pytest.mark.parametrize("target", ["infer_codec", "connection", "http"])
def test_the_target_survives_its_corpus_and_what_is_like_it(target: str, tmp_path: Path) -> None:
    program = BUILD / "tests" / f"replay_{target}"
    assert program.exists(), f"{program} is not built: make native"
    corpus = Path(__file__).with_name("corpus") / target
    write_seeds(tmp_path)
    inputs = len(list(corpus.iterdir())) + len(list((tmp_path / target).iterdir()))

    last = tmp_path / "last"
    arguments: list[str | Path] = [program, "--mutate", str(MUTATIONS), "--keep", last, corpus, tmp_path / target]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=240)

    assert done.returncode == 0, f"{done.stderr[-8000:]}\nthe input: {last.read_bytes().hex()}"
    assert done.stdout == f"{inputs} inputs and {MUTATIONS} mutations ran\n"
