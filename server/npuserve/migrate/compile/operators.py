"""The operator check: every operator of a graph, and whether the chip has it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from npuserve.migrate.compile.installation import Installation
from npuserve.migrate.compile.kernels import ASCEND_TYPES, WITHOUT_KERNEL
from npuserve.migrate.compile.operator_advice import advice_for
from npuserve.migrate.compile.outline import Outline
from npuserve.migrate.compile.soc import operator_folder

Status = Literal["supported", "replaced", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    """One type of operator of the graph.

    domain: "" is ONNX's own. status: `replaced` if the vendor's quantization writes another in its place.
    reason: why it is not supported, or what is known beyond that it is. advice: what to do if it is not.
    emulator: whether the emulator's compiler reads it.
    """

    domain: str
    name: str
    count: int
    opset: int
    status: Status
    reason: str = ""
    advice: str = ""
    emulator: bool = True

    @property
    def full_name(self) -> str:
        """With the domain, if it is not ONNX's own."""
        return f"{self.domain}::{self.name}" if self.domain else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorReport:
    """rows: by status, the unsupported first, then by count.

    source: what was asked. version: of the CANN that it tells of.
    """

    soc_version: str
    source: str
    version: str
    rows: tuple[OperatorRow, ...]

    @property
    def unsupported(self) -> tuple[OperatorRow, ...]:
        """What the chip's compiler does not take."""
        return tuple(row for row in self.rows if row.status == "unsupported")

    @property
    def unknown_to_emulator(self) -> tuple[OperatorRow, ...]:
        """What the emulator's compiler does not take."""
        return tuple(row for row in self.rows if not row.emulator)


def check_operators(outline: Outline, soc_version: str, installation: Installation | None) -> OperatorReport:
    """Compare a graph with what CANN knows of a chip, or without CANN with the shipped table. Raises MigrationError."""
    operator_folder(soc_version)
    shipped = shipped_table()
    if installation is None:
        judge: _Judge = _ByTable(shipped)
        source, version = f"the table that npuserve ships: {shipped['cann']['source']}", shipped["cann"]["version"]
    else:
        judge = _ByInstallation(installation, soc_version)
        source, version = f"the operator information of {installation.home}", installation.version or "unknown"
    emulated = frozenset(shipped["emulator"]["operators"])
    replaced: Mapping[str, str] = shipped["cann"]["replaced"]
    rows = sorted(_rows(outline, judge, emulated, replaced), key=_order)
    return OperatorReport(soc_version=soc_version, source=source, version=version, rows=tuple(rows))


@cache
def shipped_table() -> Mapping[str, Any]:
    """Return the table that comes with the package."""
    table: Mapping[str, Any] = json.loads(files(__package__).joinpath("onnx_operators.json").read_text())
    return table


def _rows(
    outline: Outline, judge: "_Judge", emulated: frozenset[str], replaced: Mapping[str, str]
) -> Iterator[OperatorRow]:
    for (domain, name), count in outline.operators.items():
        opset = outline.opsets.get(domain, 0)
        status, reason = judge.judge(domain, name, opset)
        if status == "unsupported" and not domain and name in replaced:
            status, reason = (
                "replaced",
                f"AMCT writes {replaced[name]} in its place: give atc the model that it deploys",
            )
        yield OperatorRow(
            domain=domain,
            name=name,
            count=count,
            opset=opset,
            status=status,
            reason=reason,
            advice=advice_for(domain, name, opset, judge.opsets) if status == "unsupported" else "",
            emulator=not domain and name in emulated,
        )


def _order(row: OperatorRow) -> tuple[int, int, str, str]:
    return ("unsupported", "replaced", "supported").index(row.status), -row.count, row.domain, row.name


Verdict = tuple[Status, str]


class _ByTable:
    """Judges by the shipped table, which knows ONNX's own operators."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        cann = table["cann"]
        self.opsets: tuple[int, int] = tuple(cann["opsets"])
        self._operators = frozenset(cann["operators"])
        self._own = frozenset(cann["own"])
        self._version = cann["version"]

    def judge(self, domain: str, name: str, opset: int) -> Verdict:
        least, most = self.opsets
        if not domain and name in self._own:
            return "supported", "an operator of the vendor's own"
        if domain or name not in self._operators:
            return "unsupported", f"not among the ONNX operators of CANN {self._version}"
        if not least <= opset <= most:
            return "unsupported", f"opset {opset} is outside {least} to {most}, those of CANN {self._version}"
        return "supported", ""


class _ByInstallation:
    """Judges by what an installed CANN registers: a parser for the opset, and a kernel for the chip."""

    def __init__(self, installation: Installation, soc_version: str) -> None:
        self._known = installation.operators(soc_version)
        self._soc_version = soc_version
        opsets = [each for (domain, _), versions in self._known.parsers.items() if not domain for each in versions]
        table: tuple[int, int] = tuple(shipped_table()["cann"]["opsets"])
        self.opsets = (min(opsets), max(opsets)) if opsets else table
        self._table = None if self._known.parsers else _ByTable(shipped_table())

    def judge(self, domain: str, name: str, opset: int) -> Verdict:
        verdict = self._parsed(domain, name, opset)
        if verdict[0] == "unsupported" or domain or name in WITHOUT_KERNEL:
            return verdict
        types = ASCEND_TYPES.get(name)
        if types is None:
            return "supported", "it has a parser; which kernel it becomes is not known here"
        if not self._known.kernels.intersection(types):
            return "unsupported", f"{self._soc_version} has no kernel for it: none of {', '.join(types)}"
        return verdict

    def _parsed(self, domain: str, name: str, opset: int) -> Verdict:
        if self._table is not None:
            return self._table.judge(domain, name, opset)
        opsets = self._known.parsers.get((domain, name))
        if opsets is None:
            return "unsupported", "no parser of CANN's is registered for it"
        if opset not in opsets:
            return "unsupported", f"it has parsers for the opsets {_span(opsets)}, not for {opset}"
        return "supported", ""


_Judge = _ByTable | _ByInstallation


def _span(opsets: frozenset[int]) -> str:
    least, most = min(opsets), max(opsets)
    return f"{least} to {most}" if len(opsets) == most - least + 1 else ", ".join(map(str, sorted(opsets)))
