"""The three models through `npuserve migrate`: export, compile, compare, serve, prove; a closing table; reports.

What a model is migrated with stands in `migration/NAME.toml`. Work folders and reports lie under build/migrate_demo; a
second run goes on from what is there.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Everything is on this machine; without this the tokenizer and the model loader would ask the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from commands import CommandError, npuserve
from corpora import MissingPackageError, ner_corpus, sentiment_corpus
from models import unpack_encoder
from sources import WORK

HERE = Path(__file__).resolve().parent
SETTINGS = HERE / "migration"
RESULTS = HERE.parents[1] / "build" / "migrate_demo"
MODELS = ("sentiment", "ner", "bert_small")
# Of BERT-Small's texts, which need no labels.
UNLABELLED = 1000
HEAD = ("model", "gates", "held out, fp32 → OM", "QPS of the baseline's", "P99 of the baseline's", "seconds (own)")

Row = Mapping[str, object]


def write_data(work: Path) -> None:
    """Write the held-out sets as `npuserve migrate` reads them; unpack the tokenizer. Raises MissingPackageError."""
    WORK.mkdir(parents=True, exist_ok=True)
    unpack_encoder(WORK)
    texts = sentiment_corpus().held_out
    write_rows(work / "sentiment.jsonl", ({"text": each.text, "label": each.label} for each in texts))
    write_rows(work / "bert_small.jsonl", ({"text": each.text} for each in texts[:UNLABELLED]))
    tagged = ner_corpus().held_out
    write_rows(work / "ner.jsonl", ({"words": each.words, "labels": each.tags} for each in tagged))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write JSON lines, unless the file holds them: stages run again if what they read has changed."""
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def migrate(name: str, flags: Sequence[str]) -> int:
    """Run the chain of a model; return its exit code. Raises CommandError."""
    arguments = ("migrate", "--config", shown(SETTINGS / f"{name}.toml"), *flags)
    print(f"\n{name}: npuserve {' '.join(arguments)}", flush=True)
    return subprocess.run([*npuserve(), *arguments], check=False).returncode


def closing_row(name: str, work: Path, code: int) -> tuple[str, ...]:
    """Return what the stages of a model left, in a line."""
    records = list(read_records(work))
    results = [record["result"] for record in records]
    checks = [check for result in results for check in result["checks"]]
    passed = sum(record["passed"] for record in records)
    gates = f"{passed} of 5 passed, {len(checks)} checks" + (f", exit code {code}" if code else "")
    figures = results[-1]["figures"] if len(results) == 5 else {}
    seconds = sum(result["seconds"] for result in results)
    own = sum(max(result["seconds"] - result["foreign_seconds"], 0) for result in results)
    return (
        name,
        gates,
        "\n".join(qualities(figures)),
        ratios(checks, "QPS"),
        ratios(checks, "P99"),
        f"{seconds:.0f} ({own:.0f}, {own / seconds:.0%})" if seconds else "",
    )


def read_records(work: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of the stages that ran to their end."""
    for path in sorted(work.glob("S?_*/result.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def qualities(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the scores of the baseline and of the OM; without labels, how often they agree."""
    rows = {row["server"]: row for row in figures.get("task", ())}
    if rows:
        old, new = rows["baseline"], rows["npuserve"]
        yield f"accuracy {old['accuracy']:.4f} → {new['accuracy']:.4f} ({new['total']})"
        if "entity_f1" in new:
            yield f"entity F1 {old['entity_f1']:.4f} → {new['entity_f1']:.4f} ({new['entities']})"
    for row in figures.get("consistency", ()):
        yield f"{'' if rows else 'no labels; '}same answer {row['argmax_agreement']:.2%}"


def ratios(checks: Sequence[Mapping[str, Any]], what: str) -> str:
    """Return the gates of speed, as `120 % at 8`."""
    found = [check for check in checks if check["name"].startswith(f"{what} at ")]
    return "\n".join(f"{check['value']:.0f} % at {check['name'].split()[2]}" for check in found)


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> int:
    """Migrate what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--precision", default="", help="instead of float32: force_fp16, int8; in a folder of its own")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="of the reports")
    parser.add_argument("--again", action="store_true", help="run all stages again")
    arguments = parser.parse_args()
    if unknown := set(arguments.models) - set(MODELS):
        parser.error(f"unknown model {min(unknown)}: {', '.join(MODELS)}")
    started = time.monotonic()
    runs: list[tuple[str, Path, int]] = []
    try:
        write_data(RESULTS / "data")
        for name in arguments.models or MODELS:
            work, flags = chosen(name, arguments)
            runs.append((name, work, migrate(name, flags)))
        print_closing(runs, time.monotonic() - started)
    except (CommandError, MissingPackageError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return max(code for _, _, code in runs)


def chosen(name: str, arguments: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the work folder of a model, and the flags that go before what its file says."""
    flags = ["--language", arguments.language, *(["--again"] if arguments.again else [])]
    if not arguments.precision:
        return RESULTS / name, flags
    work = RESULTS / f"{name}_{arguments.precision}"
    return work, ["--precision", arguments.precision, "--work", shown(work), *flags]


def print_closing(runs: Sequence[tuple[str, Path, int]], seconds: float) -> None:
    """Print the table of all models, and where the reports are."""
    # Not at the top: only a checked installation has it.
    from npuserve.cli.tables import table

    print(f"\n{table(HEAD, [closing_row(*run) for run in runs])}")
    for _, work, _ in runs:
        print(f"report: {shown(work / 'report' / 'report.html')}")
    print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    sys.exit(main())
