"""What could be kept in float32 so that the limits hold, and what each choice costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.compare.bisect import fewest
from npuserve.migrate.compare.graph import LayerGraph, save
from npuserve.migrate.compare.layerwise import Layers
from npuserve.migrate.compare.limits import Limits
from npuserve.migrate.compare.mix_list import write_kept, write_mix_list
from npuserve.migrate.compare.programs import Programs
from npuserve.migrate.compare.reference import Array, Reference
from npuserve.migrate.compare.whole import Agreement, agreements, hold

_REPEAT = 10
_MIXED = {"float16": "allow_mix_precision", "bfloat16": "allow_mix_precision_bf16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to compile. flags: what is other than now. kept: layers in float32 by name, of all `layers`."""

    name: str
    flags: tuple[str, ...]
    kept: int | None
    outputs: tuple[Agreement, ...]
    p50_ms: float
    holds: bool

    @property
    def lists(self) -> bool:
        """Whether a flag names a file of this stage."""
        return any(flag.startswith(("--keep_dtype", "--modify_mixlist")) for flag in self.flags)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "name": self.name,
            "flags": list(self.flags),
            "kept_layers": self.kept,
            "outputs": [each.as_json() for each in self.outputs],
            "p50_ms": self.p50_ms,
            "holds": self.holds,
        }


class CandidateSearch:
    """Compiles the model for one batch in other precisions.

    folder: for what is compiled. artifacts: for lists. final: where those will be, for the flags that are shown.
    """

    def __init__(
        self,
        graph: LayerGraph,
        batch: Tensors,
        limits: Mapping[str, Limits],
        programs: Programs,
        folder: Path,
        artifacts: Path,
        final: Path,
    ) -> None:
        self._graph, self._batch = graph, batch
        self._limits = limits
        self._programs = programs
        self._folder, self._artifacts, self._final = folder, artifacts, final
        self._source = folder / "whole.onnx"
        save(graph.model, self._source)
        self._expected: dict[str, Array] = Reference(self._source, programs.foreign).run(batch)
        self.trials = 0

    def run(self, layers: Layers, kind: str, tell: Callable[[str], None]) -> list[Candidate]:
        """Return the candidates, from what there is to everything in float32. kind: the target's float type.

        Writes keep_dtype.txt and mixlist.json if a list was found.
        """
        found = [self._candidate("as it is", ())]
        kept = self._kept(layers, tell)
        if kept:
            names = write_kept(self._artifacts / "keep_dtype.txt", kept)
            by_name = (f"--keep_dtype={self._final / names.name}",)
            found.append(self._candidate(f"{len(kept)} layers by name", by_name, kept=len(kept), keep=names))
        mode = _MIXED[kind]
        found.append(self._candidate("mixed precision", (f"--precision_mode={mode}",), precision=mode))
        if kept:
            kinds = {each.layer.kind for each in layers.errors if each.layer.name in set(kept)}
            path = write_mix_list(self._artifacts / "mixlist.json", kinds)
            flags = (f"--precision_mode={mode}", f"--modify_mixlist={self._final / path.name}")
            found.append(self._candidate(f"mixed, {', '.join(sorted(kinds))} kept", flags, precision=mode, mix=path))
        origin = "must_keep_origin_dtype"
        found.append(self._candidate("float32", (f"--precision_mode={origin}",), precision=origin))
        return found

    def _kept(self, layers: Layers, tell: Callable[[str], None]) -> tuple[str, ...] | None:
        def holds(names: Sequence[str]) -> bool:
            tell(f"trial {self.trials + 1}: {len(names)} layers in float32")
            self.trials += 1
            keep = write_kept(self._folder / f"keep_{self.trials}.txt", names) if names else None
            return hold(self._tried(keep=keep)[0], self._limits)

        ranked = [each.layer.name for each in layers.grown()]
        return fewest(ranked, holds).kept

    def _candidate(
        self,
        name: str,
        flags: tuple[str, ...],
        *,
        kept: int | None = None,
        precision: str | None = None,
        keep: Path | None = None,
        mix: Path | None = None,
    ) -> Candidate:
        outputs, p50_ms = self._tried(precision=precision, keep=keep, mix=mix, repeat=_REPEAT)
        return Candidate(
            name=name, flags=flags, kept=kept, outputs=outputs, p50_ms=p50_ms, holds=hold(outputs, self._limits)
        )

    def _tried(
        self, *, precision: str | None = None, keep: Path | None = None, mix: Path | None = None, repeat: int = 1
    ) -> tuple[tuple[Agreement, ...], float]:
        om = self._programs.compile(self._source, self._batch, precision=precision, keep=keep, mix_list=mix)
        ran = self._programs.run(om, [self._batch], repeat=repeat)
        return agreements(ran.outputs, [self._expected]), float(ran.latencies[0]["p50_ms"])


def cheapest(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the first that holds: they stand from the least in float32 to the most."""
    return next((each for each in candidates if each.holds), None)
