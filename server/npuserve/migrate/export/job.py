"""What the stage hands to PyTorch's process, and what it gets back: two JSON files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OUTCOME = "outcome.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """samples: an npz to read. answers: the npz to write. checkpoint, or else module: what is exported."""

    samples: Path
    answers: Path
    checkpoint: Path | None
    module: str
    python_path: Sequence[Path]
    task: str
    opset: int

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read what `write` wrote."""
        fields = json.loads(path.read_text())
        return cls(
            samples=Path(fields["samples"]),
            answers=Path(fields["answers"]),
            checkpoint=Path(fields["checkpoint"]) if fields["checkpoint"] else None,
            module=fields["module"],
            python_path=[Path(each) for each in fields["python_path"]],
            task=fields["task"],
            opset=fields["opset"],
        )

    def write(self, path: Path) -> None:
        """Write it as JSON, all paths absolute."""
        fields = {
            "samples": str(self.samples.absolute()),
            "answers": str(self.answers.absolute()),
            "checkpoint": str(self.checkpoint.absolute()) if self.checkpoint else "",
            "module": self.module,
            "python_path": [str(each.absolute()) for each in self.python_path],
            "task": self.task,
            "opset": self.opset,
        }
        path.write_text(json.dumps(fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """torch: its version. baseline_seconds: of the answers alone. applied: changes made to the module, as JSON."""

    torch: str
    baseline_seconds: float
    applied: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()


def write_outcome(path: Path, outcome: Outcome) -> None:
    """Write it as JSON."""
    path.write_text(json.dumps(asdict(outcome)))
