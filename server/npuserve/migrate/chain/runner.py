"""Runs stages one after another, and none whose result still holds."""

import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from npuserve import __version__
from npuserve.migrate.chain.faults import GATE_FAILED, PASSED, Fault, fault_of
from npuserve.migrate.chain.folders import failed_folder, filled
from npuserve.migrate.chain.progress import Progress
from npuserve.migrate.chain.record import Record, read_record, write_record
from npuserve.migrate.chain.stage import Result, Stage, Workspace
from npuserve.migrate.chain.stages import StagePlace
from npuserve.migrate.errors import MigrationError

Status = Literal["passed", "kept", "failed", "stopped", "pending"]
"""kept: passed in an earlier run that still holds; failed: at its gate; stopped: by a fault; pending: not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a stage ended. record: None unless it ran to its end. fault: of a stopped one alone."""

    place: StagePlace
    status: Status
    record: Record | None = None
    fault: Fault | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run ended, stage by stage, in their order."""

    outcomes: tuple[Outcome, ...]

    @property
    def code(self) -> int:
        """The exit code."""
        if stopped := next((each for each in self.outcomes if each.fault is not None), None):
            assert stopped.fault is not None
            return stopped.fault.code
        return GATE_FAILED if any(each.status == "failed" for each in self.outcomes) else PASSED


class Runner:
    """Runs stages in a work folder. Its caller holds the folder's lock."""

    def __init__(self, workspace: Workspace, places: Sequence[StagePlace], progress: Progress) -> None:
        self._workspace = workspace
        self._places = places
        self._progress = progress

    def run(self, only: StagePlace | None = None, again: bool = False) -> Run:
        """Run what does not hold any more, up to the first that fails.

        only: this stage alone, for which those before it must hold. again: even if it holds.
        """
        outcomes: list[Outcome] = []
        for place in self._places:
            before = {each.place.folder: each.record.run for each in outcomes if each.record is not None}
            if outcomes and outcomes[-1].status not in ("passed", "kept"):
                outcomes.append(Outcome(place=place, status="pending"))
            elif only is not None and self._places.index(place) > self._places.index(only):
                outcomes.append(self._seen(place, before))
            else:
                outcomes.append(self._reach(place, before, only, again))
        return Run(outcomes=tuple(outcomes))

    def look(self) -> Run:
        """Run nothing; return what holds of earlier runs."""
        outcomes: list[Outcome] = []
        for place in self._places:
            before = {each.place.folder: each.record.run for each in outcomes if each.record is not None}
            outcomes.append(self._seen(place, before))
        return Run(outcomes=tuple(outcomes))

    def _seen(self, place: StagePlace, before: Mapping[str, str]) -> Outcome:
        """Return what an earlier run left of a stage, if it holds."""
        try:
            record = self._holding(place, place.load(), before)
        except Exception:
            # It cannot even be asked: then nothing is known of it.
            record = None
        if record is None:
            return Outcome(place=place, status="pending")
        return Outcome(place=place, status="kept" if record.result.passed else "failed", record=record)

    def _reach(self, place: StagePlace, before: Mapping[str, str], only: StagePlace | None, again: bool) -> Outcome:
        """Return a stage's earlier result if it holds, else run it."""
        started = time.monotonic()
        try:
            stage = place.load()
            record = self._holding(place, stage, before)
            wanted = only is None or place is only
            if record is not None and record.result.passed and not (again and wanted):
                self._progress.ended(self._head(place), "kept", record.result.seconds)
                return Outcome(place=place, status="kept", record=record)
            if not wanted:
                raise _needed(place, record)
            record = self._work(place, stage, before)
        except Exception as error:
            fault, seconds = self._told(place, error), time.monotonic() - started
            self._progress.ended(self._head(place), "stopped", seconds)
            return Outcome(place=place, status="stopped", fault=fault, seconds=seconds)
        status: Status = "passed" if record.result.passed else "failed"
        self._progress.ended(self._head(place), status, record.result.seconds)
        return Outcome(place=place, status=status, record=record, seconds=record.result.seconds)

    def _told(self, place: StagePlace, error: Exception) -> Fault:
        """Return the fault, whose advice names the logs that are left."""
        fault = fault_of(error, self._workspace.work)
        logs = sorted(failed_folder(self._workspace.work / place.folder).glob("*.log"))
        return replace(fault, advice=(*fault.advice, *(f"read {log}" for log in logs)))

    def _holding(self, place: StagePlace, stage: Stage, before: Mapping[str, str]) -> Record | None:
        """Return the record of an earlier run if it would find the same today."""
        folder = self._workspace.work / place.folder
        record = read_record(folder)
        if record is None or record.npuserve != __version__ or dict(record.after) != dict(before):
            return None
        if record.fingerprint != stage.fingerprint(self._workspace):
            return None
        return record if not _missing(record.result, folder) else None

    def _work(self, place: StagePlace, stage: Stage, before: Mapping[str, str]) -> Record:
        started, clock = datetime.now(UTC), time.monotonic()
        with self._progress.stage(self._head(place)), filled(self._workspace.work / place.folder) as folder:
            # Taken before the work: an input that changes meanwhile makes the stage run again.
            fingerprint = stage.fingerprint(self._workspace)
            with _logged(folder):
                result = stage.run(self._workspace, folder, self._progress.tell)
            if lost := _missing(result, folder):
                raise RuntimeError(f"{place.command} did not write {', '.join(lost)}")
            record = Record(
                title=stage.title,
                fingerprint=fingerprint,
                after=before,
                run=uuid.uuid4().hex,
                started=started.isoformat(timespec="seconds"),
                npuserve=__version__,
                result=replace(result, seconds=result.seconds or time.monotonic() - clock),
            )
            write_record(folder, record)
        return record

    def _head(self, place: StagePlace) -> str:
        return f"{self._places.index(place) + 1}/{len(self._places)} {place.folder.replace('_', ' ', 1)}"


def _needed(place: StagePlace, record: Record | None) -> MigrationError:
    why = "has not run yet, or with other settings" if record is None else "failed at its gate"
    return MigrationError(
        f"the results of {place.command} are needed: it {why}", f"npuserve migrate {place.command}, with these settings"
    )


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Leave the traceback of what nobody foresaw in `error.log`."""
    try:
        yield
    except (MigrationError, OSError):
        raise
    except Exception:
        with suppress(OSError):
            (folder / "error.log").write_text(traceback.format_exc(), encoding="utf-8")
        raise


def _missing(result: Result, folder: Path) -> list[str]:
    return [name for name in result.artifacts if not (folder / name).exists()]
