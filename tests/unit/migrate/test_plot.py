import sys
from pathlib import Path

import pytest
from npuserve.migrate.errors import PlanError
from npuserve.migrate.options import PlanOptions
from npuserve.migrate.planning import plan
from npuserve.migrate.plot import draw
from npuserve.migrate.sample import counted


@pytest.mark.parametrize("rows", [[5], [3, 9, 9, 40]], ids=["one length", "several"])
def test_a_plan_is_drawn(rows: list[int], tmp_path: Path) -> None:
    draw(plan(counted(rows), PlanOptions()), tmp_path / "plan.png")
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["absent/plan.png", "plan.docx"])
def test_a_file_that_cannot_be_drawn_to_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=f"--plot: cannot write .*{name}: "):
        draw(plan(counted([5]), PlanOptions()), tmp_path / name)


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlanError, match=r"--plot needs the package matplotlib: pip install 'npuserve\[plan\]'"):
        draw(plan(counted([5]), PlanOptions()), tmp_path / "plan.png")
