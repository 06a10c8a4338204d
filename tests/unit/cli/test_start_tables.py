"""What the log shows at start."""

import logging
from pathlib import Path

import pytest
from npuserve.cli.start_tables import log_models, option_rows
from npuserve.config.control_options import ControlOptions
from npuserve.config.options import ServerOptions
from npuserve.repository.states import IndexEntry


def test_models_are_shown_with_why_they_are_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_models([IndexEntry("a", "2", "READY"), IndexEntry("b", "1", "UNAVAILABLE", "Internal: x"), IndexEntry("c")])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in caplog.text.splitlines() if "|" in line]
    assert rows == [
        ["Model", "Version", "Status"],
        ["a", "2", "READY"],
        ["b", "1", "UNAVAILABLE: Internal: x"],
        ["c", "-", "UNAVAILABLE"],
    ]


def test_options_are_shown_under_tritons_names(tmp_path: Path) -> None:
    control = ControlOptions(mode="explicit", load_models=("a", "b"))
    rows = dict(option_rows(ServerOptions(model_repositories=(tmp_path,), control=control, exit_timeout_secs=2.5)))
    assert rows["model_repository_path[0]"] == str(tmp_path)
    assert (rows["model_control_mode"], rows["startup_models"]) == ("MODE_EXPLICIT", "a, b")
    assert (rows["exit_timeout"], rows["strict_readiness"], rows["cache_enabled"]) == ("2.5", "1", "0")
