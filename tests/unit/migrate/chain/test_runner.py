import errno
import io
from pathlib import Path

import npuserve
import pytest
from npuserve.migrate.chain import runner as runner_module
from npuserve.migrate.chain.progress import Progress
from npuserve.migrate.chain.record import read_record
from npuserve.migrate.chain.runner import Run, Runner
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.chain.stages import ALL, StagePlace, stages_of
from npuserve.migrate.errors import MigrationError, SetupError
from support import migration
from support.migration import PLACES, started

S1, S2, S3, S4, S5 = (place.folder for place in PLACES)
COMPARE = PLACES[2]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    work = tmp_path / "work"
    work.mkdir()
    workspace = Workspace(settings=migration.settings(tmp_path), work=work)
    return Runner(workspace, PLACES, Progress(io.StringIO()))


def statuses(run: Run) -> list[str]:
    return [outcome.status for outcome in run.outcomes]


def raising(error: Exception) -> migration.Behaviour:
    def run(workspace: Workspace, folder: Path, tell: Tell) -> Result:
        (folder / "half.om").write_text("half")
        (folder / "compiler.log").write_text("it said")
        raise error

    return run


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "work").iterdir())


def test_all_stages_run_in_their_order_and_leave_results(runner: Runner, tmp_path: Path) -> None:
    run = runner.run()
    assert (run.code, statuses(run)) == (0, ["passed"] * 5)
    assert started(tmp_path / "work") == [S1, S2, S3, S4, S5]
    assert left(tmp_path) == [S1, S2, S3, S4, S5, "runs.log"]
    record = read_record(tmp_path / "work" / S2)
    assert record is not None
    assert record.result.passed
    assert (tmp_path / "work" / S2 / "artifact.txt").read_text() == "whole"


def test_what_holds_is_not_run_again(runner: Runner, tmp_path: Path) -> None:
    runner.run()
    assert statuses(runner.run()) == ["kept"] * 5
    assert len(started(tmp_path / "work")) == 5


def test_a_changed_fingerprint_runs_the_stage_and_all_after_it(runner: Runner, tmp_path: Path) -> None:
    runner.run()
    migration.FINGERPRINTS[S3] = "other"
    assert statuses(runner.run()) == ["kept", "kept", "passed", "passed", "passed"]
    assert started(tmp_path / "work")[5:] == [S3, S4, S5]


def test_another_version_runs_all_again(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.run()
    monkeypatch.setattr(runner_module, "__version__", f"{npuserve.__version__}.post1")
    assert statuses(runner.run()) == ["passed"] * 5


def test_a_lost_artifact_makes_its_stage_run_again(runner: Runner, tmp_path: Path) -> None:
    runner.run()
    (tmp_path / "work" / S4 / "artifact.txt").unlink()
    assert statuses(runner.run()) == ["kept", "kept", "kept", "passed", "passed"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"result": {}}'])
def test_a_broken_record_makes_its_stage_run_again(runner: Runner, tmp_path: Path, content: str) -> None:
    runner.run()
    (tmp_path / "work" / S4 / "result.json").write_text(content)
    assert statuses(runner.run()) == ["kept", "kept", "kept", "passed", "passed"]


def test_a_failed_gate_stops_the_run_and_keeps_the_evidence(runner: Runner, tmp_path: Path) -> None:
    migration.BEHAVIOURS[S3] = migration.failing
    run = runner.run()
    assert (run.code, statuses(run)) == (1, ["passed", "passed", "failed", "pending", "pending"])
    assert (tmp_path / "work" / S3 / "evidence.txt").exists()
    del migration.BEHAVIOURS[S3]
    assert statuses(runner.run()) == ["kept", "kept", "passed", "passed", "passed"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MigrationError("the checkpoint is of a whale", "take a BERT"), 2, "the checkpoint is of a whale"),
        (SetupError("atc is not there", "install CANN"), 3, "atc is not there"),
        (ImportError("No module named 'torch'"), 3, "a package is missing or broken: No module named 'torch'"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "there is no room to write in "),
        (OSError(errno.EFBIG, "File too large"), 3, "there is no room to write in "),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), 3, "/etc/x: Permission denied"),
        (ZeroDivisionError("division by zero"), 3, "unexpected ZeroDivisionError: division by zero, in "),
    ],
)
def test_a_fault_stops_the_run_and_leaves_only_logs(
    runner: Runner, tmp_path: Path, error: Exception, code: int, message: str
) -> None:
    migration.BEHAVIOURS[S2] = raising(error)
    run = runner.run()
    fault = run.outcomes[1].fault
    assert fault is not None
    assert message in fault.message
    assert (run.code, statuses(run)) == (code, ["passed", "stopped", "pending", "pending", "pending"])
    assert left(tmp_path) == [S1, f"{S2}.failed", "runs.log"]
    assert "half.om" not in [path.name for path in (tmp_path / "work" / f"{S2}.failed").iterdir()]
    assert (tmp_path / "work" / f"{S2}.failed" / "compiler.log").read_text() == "it said"


def test_the_traceback_of_what_nobody_foresaw_is_kept(runner: Runner, tmp_path: Path) -> None:
    migration.BEHAVIOURS[S2] = raising(ZeroDivisionError("division by zero"))
    runner.run()
    assert "ZeroDivisionError" in (tmp_path / "work" / f"{S2}.failed" / "error.log").read_text()


def test_a_failing_run_takes_nothing_from_the_last_one(runner: Runner, tmp_path: Path) -> None:
    runner.run()
    migration.FINGERPRINTS[S2] = "other"
    migration.BEHAVIOURS[S2] = raising(SetupError("atc is not there"))
    runner.run()
    assert (tmp_path / "work" / S2 / "artifact.txt").read_text() == "whole"
    migration.FINGERPRINTS.clear()
    migration.BEHAVIOURS.clear()
    assert statuses(runner.run()) == ["kept"] * 5


def test_a_stage_that_does_not_write_what_it_promises_is_stopped(runner: Runner) -> None:
    def promise(workspace: Workspace, folder: Path, tell: Tell) -> Result:
        return Result(artifacts={"model.om": "the model"})

    migration.BEHAVIOURS[S2] = promise
    fault = runner.run().outcomes[1].fault
    assert fault is not None
    assert "compile did not write model.om" in fault.message


def test_a_missing_stage_is_a_fault_only_when_it_is_reached(tmp_path: Path) -> None:
    absent = StagePlace(command="serve", folder=S4, module="npuserve.migrate.absent", class_name="ServeStage")
    places = (*PLACES[:3], absent, PLACES[4])
    (tmp_path / "work").mkdir()
    workspace = Workspace(settings=migration.settings(tmp_path), work=tmp_path / "work")
    run = Runner(workspace, places, Progress(io.StringIO())).run()
    assert (run.code, statuses(run)) == (3, ["passed", "passed", "passed", "stopped", "pending"])


def test_one_stage_alone_needs_those_before_it(runner: Runner, tmp_path: Path) -> None:
    run = runner.run(COMPARE)
    assert (run.code, statuses(run)[0]) == (2, "stopped")
    fault = run.outcomes[0].fault
    assert fault is not None
    assert fault.message == "the results of export are needed: it has not run yet, or with other settings"
    assert started(tmp_path / "work") == []


def test_one_stage_alone_runs_once_and_again_if_asked(runner: Runner, tmp_path: Path) -> None:
    runner.run()
    assert statuses(runner.run(COMPARE)) == ["kept"] * 5
    # What stands on the earlier results of the stage does not hold any more.
    assert statuses(runner.run(COMPARE, again=True)) == ["kept", "kept", "passed", "pending", "pending"]
    assert started(tmp_path / "work")[5:] == [S3]


def test_a_look_runs_nothing(runner: Runner, tmp_path: Path) -> None:
    assert statuses(runner.look()) == ["pending"] * 5
    migration.BEHAVIOURS[S3] = migration.failing
    runner.run()
    assert statuses(runner.look()) == ["kept", "kept", "failed", "pending", "pending"]
    assert len(started(tmp_path / "work")) == 3


def test_the_fallback_compiles_nothing(tmp_path: Path) -> None:
    from npuserve.migrate.chain.settings import ServeSettings

    plain = migration.settings(tmp_path)
    fallback = migration.settings(tmp_path, serve=ServeSettings(backend="onnxruntime"))
    assert stages_of(plain) == ALL
    assert [place.folder for place in stages_of(fallback)] == [S1, S4, S5]
