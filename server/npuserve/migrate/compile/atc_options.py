"""Everything that `atc` is told, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from npuserve.migrate.chain.settings import CompileSettings
from npuserve.migrate.compile.atc_flags import PRECISION_MODES, check_value, parse_extra
from npuserve.migrate.compile.contradictions import check_gears, check_kernels, check_precision, check_quantized
from npuserve.migrate.compile.gears import BATCH, Shapes
from npuserve.migrate.compile.soc import operator_folder
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.options import MAX_GEARS

INT8 = "int8"
# What the vendor asks for with quantized models: what is not quantized computes in half precision.
_INT8_PRECISION = "force_fp16"
ONNX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AtcOptions:
    """Checks itself against the rules of `atc`; raises MigrationError.

    output: with `.om`. shapes: the dims of each input, -1 where gears vary. batch_gears: of axis 0, for
    --dynamic_batch_size. dim_gears: of every -1 in the order of `shapes`, for --dynamic_dims. Both empty: fixed shapes.
    precision_mode "": the compiler's default. quantized: the ONNX has been quantized to int8. others: any more flags,
    by name without dashes.
    """

    model: Path
    output: Path
    soc_version: str
    shapes: Mapping[str, tuple[int, ...]]
    batch_gears: tuple[int, ...] = ()
    dim_gears: tuple[tuple[int, ...], ...] = ()
    input_format: str = "ND"
    precision_mode: str = ""
    precision_mode_v2: str = ""
    modify_mixlist: Path | None = None
    keep_dtype: Path | None = None
    op_select_implmode: str = ""
    optypelist_for_implmode: tuple[str, ...] = ()
    output_type: str = ""
    out_nodes: tuple[str, ...] = ()
    input_fp16_nodes: tuple[str, ...] = ()
    fusion_switch_file: Path | None = None
    log: str = ""
    quantized: bool = False
    others: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        operator_folder(self.soc_version)
        for name in ("input_format", "precision_mode", "precision_mode_v2", "op_select_implmode", "log"):
            if value := getattr(self, name):
                check_value(name, value)
        check_gears(self.shapes, self.batch_gears, self.dim_gears, self.input_format)
        check_precision(
            self.precision_mode, self.precision_mode_v2, mix_list=self.modify_mixlist, keep_dtype=self.keep_dtype
        )
        check_kernels(self.op_select_implmode, self.optypelist_for_implmode)
        check_quantized(self.quantized, self.precision_mode, self.precision_mode_v2)

    @property
    def has_gears(self) -> bool:
        """Whether the shapes vary."""
        return bool(self.batch_gears or self.dim_gears)

    def flags(self) -> list[str]:
        """Return the flags, those that matter most first."""
        values = {
            "model": str(self.model),
            "framework": str(ONNX),
            "output": str(self.output.with_suffix("")),
            "soc_version": self.soc_version,
            "input_format": self.input_format,
            "input_shape": ";".join(f"{name}:{_joined(dims)}" for name, dims in self.shapes.items()),
            "dynamic_batch_size": _joined(self.batch_gears),
            "dynamic_dims": ";".join(_joined(gear) for gear in self.dim_gears),
            "precision_mode": self.precision_mode,
            "precision_mode_v2": self.precision_mode_v2,
            "modify_mixlist": _text(self.modify_mixlist),
            "keep_dtype": _text(self.keep_dtype),
            "op_select_implmode": self.op_select_implmode,
            "optypelist_for_implmode": ",".join(self.optypelist_for_implmode),
            "output_type": self.output_type,
            "out_nodes": ";".join(self.out_nodes),
            "input_fp16_nodes": ";".join(self.input_fp16_nodes),
            "fusion_switch_file": _text(self.fusion_switch_file),
            "log": self.log,
            **self.others,
        }
        return [f"--{name}={value}" for name, value in values.items() if value]


def atc_options(settings: CompileSettings, model: Path, output: Path, shapes: Shapes) -> AtcOptions:
    """Return what the settings and the plan ask for. Raises MigrationError."""
    extra = parse_extra(settings.extra)
    quantized = settings.precision == INT8
    if not quantized and settings.precision not in PRECISION_MODES:
        # In terms of the settings, where int8 is a choice too.
        raise MigrationError(
            f"precision is '{settings.precision}', it must be one of {', '.join((*PRECISION_MODES, INT8))}"
        )
    mode_v2 = extra.pop("precision_mode_v2", "")
    mode = "" if mode_v2 and _is_default(settings.precision) else settings.precision
    dims, batches, gears = _gear_flags(shapes)
    return AtcOptions(
        model=model,
        output=output,
        soc_version=settings.soc_version,
        shapes=dims,
        batch_gears=batches,
        dim_gears=gears,
        input_format=extra.pop("input_format", "ND"),
        precision_mode=_INT8_PRECISION if quantized else mode,
        precision_mode_v2=mode_v2,
        modify_mixlist=settings.mix_list and settings.mix_list.resolve(),
        keep_dtype=_path(extra.pop("keep_dtype", "")),
        op_select_implmode=extra.pop("op_select_implmode", ""),
        optypelist_for_implmode=_list(extra.pop("optypelist_for_implmode", ""), ","),
        output_type=extra.pop("output_type", ""),
        out_nodes=_list(extra.pop("out_nodes", ""), ";"),
        input_fp16_nodes=_list(extra.pop("input_fp16_nodes", ""), ";"),
        fusion_switch_file=_path(extra.pop("fusion_switch_file", "")),
        log=extra.pop("log", ""),
        quantized=quantized,
        others=extra,
    )


def check_settings(settings: CompileSettings) -> None:
    """Check what can be checked before there is a model. Raises MigrationError."""
    atc_options(settings, Path("model.onnx"), Path("model.om"), Shapes(inputs={}))
    if len(settings.batches) * len(settings.lengths) > MAX_GEARS:
        raise MigrationError(
            f"{len(settings.batches)} batches and {len(settings.lengths)} lengths make "
            f"{len(settings.batches) * len(settings.lengths)} gears, the compiler takes at most {MAX_GEARS}",
            f"name fewer batches or lengths under [compile]: their product must be at most {MAX_GEARS}",
        )


def _gear_flags(
    shapes: Shapes,
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return the inputs' dims, the batch gears and the gears of all axes; of a single gear, its fixed shapes."""
    gears = shapes.gears
    if len(gears) == 1:
        # The compiler takes two gears or more.
        return dict(gears[0]), (), ()
    dims = {name: tuple(axis if isinstance(axis, int) else -1 for axis in axes) for name, axes in shapes.inputs.items()}
    if all(axis == BATCH or isinstance(axis, int) for axes in shapes.inputs.values() for axis in axes):
        return dims, shapes.batches, ()
    varying = tuple(
        tuple(
            size
            for name, axes in shapes.inputs.items()
            for axis, size in zip(axes, gear[name], strict=True)
            if not isinstance(axis, int)
        )
        for gear in gears
    )
    return dims, (), varying


def _is_default(precision: str) -> bool:
    return precision == CompileSettings().precision


def _joined(values: Sequence[int]) -> str:
    return ",".join(map(str, values))


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _list(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(separator) if part)
