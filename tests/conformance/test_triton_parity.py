"""npuserve answers as the real Triton did: the same calls on equal models, field by field.

The golden answers are recorded by `make record-golden`; what may differ is in support/golden_differences.py.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.golden_calls import Answer, Target
from support.golden_differences import DIFFERENCES, PEER_DIES, expected
from support.golden_models import write_repository
from support.golden_sessions import SESSIONS, call_names, family_names, run_session
from support.server import ROOT, serving

GOLDEN = Path(__file__).with_name("golden")
Answers = dict[str, dict[str, Answer]]


@cache
def golden(family: str) -> dict[str, Answer]:
    """The recorded answers of a family."""
    answers: dict[str, Answer] = json.loads((GOLDEN / f"{family}.json").read_text())
    return answers


def _all_calls() -> Iterator[Any]:
    for session in SESSIONS:
        for family in family_names(session):
            for name in call_names(session, family):
                yield pytest.param(session, family, name, id=f"{family}: {name}")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> "Sessions":
    return Sessions(tmp_path_factory.mktemp("parity"))


class Sessions:
    """What npuserve answers, session by session: each is run when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, Answers | BaseException] = {}

    def of(self, session: str) -> Answers:
        """All answers of a session; a server that did not start fails each of its tests, and is started once."""
        if session not in self._answers:
            try:
                self._answers[session] = self._run(session)
            except Exception as error:
                self._answers[session] = error
        answers = self._answers[session]
        if isinstance(answers, BaseException):
            raise AssertionError(f"session {session} could not be run: {answers}") from answers
        return answers

    def _run(self, session: str) -> Answers:
        repository = self._folder / session / "models"
        write_repository(repository, SESSIONS[session].models, "npuserve")
        with serving(repository, *SESSIONS[session].flags) as server:
            http, metrics = (int(url.rpartition(":")[2]) for url in (server.http_url, server.metrics_url))
            target = Target(server.url, http, metrics, repository)
            return run_session(session, "npuserve", target, lambda family, name: True, lambda name: None)


@pytest.mark.parametrize(("session", "family", "name"), list(_all_calls()))
def test_the_answer_is_tritons(answers: Sessions, session: str, family: str, name: str) -> None:
    answer = answers.of(session)[family][name]
    if name in PEER_DIES.get(family, ()):
        assert answer.get("code") != "UNAVAILABLE"
        assert "failed" not in answer
        return
    assert answer == expected(family, name, golden(family)[name])


@pytest.mark.parametrize("session", list(SESSIONS))
def test_golden_answers_are_of_the_calls_that_are_made(session: str) -> None:
    for family in family_names(session):
        made = set(call_names(session, family)) - set(PEER_DIES.get(family, ()))
        assert set(golden(family)) == made


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.topic)
def test_a_difference_changes_an_answer_or_names_its_proof(difference: Any) -> None:
    changed = 0
    for session in SESSIONS:
        for family in family_names(session):
            for name, answer in golden(family).items():
                if difference.concerns(family, name):
                    changed += expected(family, name, answer) != answer
    assert changed or (ROOT / difference.proof).is_file()


def test_the_document_shows_the_table_of_differences() -> None:
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in (ROOT / "docs" / "compatibility.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    assert rows[0] == ("topic", "Triton 2.51", "npuserve", "reason")
    assert rows[2:] == [difference.row for difference in DIFFERENCES]
