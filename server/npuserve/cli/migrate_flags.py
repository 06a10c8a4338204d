"""The flags of `npuserve migrate`."""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from npuserve.cli.parser import Parser, unrecognized
from npuserve.migrate.chain.faults import WRONG_INPUT
from npuserve.migrate.chain.settings import LANGUAGES, TASKS
from npuserve.migrate.chain.stages import ALL

REPORT = "report"
_STAGES = (*(place.command for place in ALL), REPORT)

_EPILOG = """exit codes:
  0  every gate passed
  1  a gate failed: the report says which, and what to try
  2  the settings or what is to be migrated are wrong
  3  this machine lacks something: a package, a tool, room on the disk
"""


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        """Exit with the code of wrong input."""
        self.print_usage(sys.stderr)
        self.exit(WRONG_INPUT, f"{self.prog}: error: {message}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed flags, and `stage`, None for all; wrong ones exit with 2."""
    parser = _Parser(
        prog="npuserve migrate",
        usage="npuserve migrate [STAGE] [--config migration.toml] [FLAG ...]",
        description="Takes a model from a checkpoint to an approved service. A run goes on where the last stopped.\n"
        f"STAGE: {', '.join(_STAGES[:-1])}, or {REPORT}, which writes the report alone; without one, all run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run_flags(parser.add_argument_group("run"))
    _add_source_flags(parser.add_argument_group("what is migrated: goes before what the file says"))
    # Not argparse's: it would take the value of an unknown flag for the stage.
    stage = arguments[0] if arguments and not arguments[0].startswith("-") else None
    if stage is not None and stage not in _STAGES:
        near = difflib.get_close_matches(stage, _STAGES, n=1)
        parser.error(f"unknown stage {stage}" + (f", did you mean {near[0]}?" if near else f": {', '.join(_STAGES)}"))
    parsed, unknown = parser.parse_known_args(arguments[stage is not None :])
    if unknown:
        parser.error(unrecognized(parser, unknown))
    parsed.stage = stage
    return parsed


def _add_run_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--config", type=Path, metavar="FILE", help="settings (default: migration.toml, if there is one here)")
    add("--work", metavar="DIR", help="the folder of stages and report (default: NAME-migration)")
    add("--repository", metavar="DIR", help="where the model goes once all gates have passed")
    add("--fallback-onnxruntime", action="store_true", help="serve the ONNX model by ONNX Runtime: nothing is compiled")
    add("--again", action="store_true", help="run the stages asked for even if their results hold")
    add("--language", choices=LANGUAGES, help="of the report (en)")


def _add_source_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--checkpoint", metavar="DIR", help="a folder of a Hugging Face model")
    add("--module", metavar="PACKAGE.MODULE:FUNCTION", help="returns a torch.nn.Module")
    add("--onnx", metavar="FILE", help="a model that is exported already")
    add("--name", help="of the model in the repository")
    add("--task", choices=TASKS, help=f"default {TASKS[0]}")
    add("--dataset", metavar="FILE", help="the labelled set, JSON lines")
    add("--from-triton", metavar="DIR", help="a repository of Triton's: all its models, into the new --repository")
    add("--samples", metavar="DIR", help="requests for --from-triton: NAME.npz, or NAME.jsonl and NAME.tokenizer.json")
    add("--inputs", metavar="FILE", help="example inputs, npz, instead of a labelled set")
    add("--tokenizer", metavar="FILE", help="tokenizer.json (default: the checkpoint's)")
    add("--soc-version", metavar="CHIP", help="the chip that is compiled for")
    add("--precision", metavar="MODE", help="atc's precision mode, or int8")
    add("--baseline", metavar="HOST:PORT", help="the old server (default: ONNX Runtime, served here)")


_SETTINGS: Mapping[str, str] = {
    "work": "work",
    "repository": "repository",
    "language": "language",
    "checkpoint": "source.checkpoint",
    "module": "source.module",
    "onnx": "source.onnx",
    "name": "source.name",
    "task": "source.task",
    "dataset": "source.dataset",
    "inputs": "source.inputs",
    "tokenizer": "source.tokenizer",
    "soc_version": "compile.soc_version",
    "precision": "compile.precision",
    "baseline": "prove.baseline",
}


def overrides(parsed: argparse.Namespace) -> dict[str, object]:
    """Return what the flags say, by the settings' names."""
    given = vars(parsed)
    found: dict[str, object] = {setting: given[flag] for flag, setting in _SETTINGS.items() if given[flag] is not None}
    # Of a whole repository, only what cannot be compiled stays on ONNX Runtime.
    if parsed.fallback_onnxruntime and parsed.from_triton is None:
        found["serve.backend"] = "onnxruntime"
    return found
