"""What `[quantize]` of `migration.toml` says: post-training quantization, for `compile.precision = "int8"`."""

from dataclasses import dataclass

from npuserve.migrate.chain.ranges import check_one_of, check_range

TOOLS = ("auto", "amct", "onnxruntime")
CALIBRATIONS = ("minmax", "percentile", "entropy")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeSettings:
    """INT8. tool: `auto` is AMCT for the vendor's compiler, if it is installed, and ONNX Runtime otherwise.

    calibration: how the range of a tensor is found. percentile: of its values that lie in the range. samples: rows of
    the export's calibration sample that are used, at most. keep_nodes, keep_types: what stays in float. bisect: whether
    more layers stay in float if the accuracy drops by more than max_accuracy_drop, in points; max_trials: of that
    search. max_rows: of the labelled set, evenly chosen, for each accuracy.
    """

    tool: str = "auto"
    calibration: str = "minmax"
    percentile: float = 99.99
    samples: int = 64
    keep_nodes: tuple[str, ...] = ()
    keep_types: tuple[str, ...] = ()
    max_accuracy_drop: float = 0.5
    bisect: bool = True
    max_trials: int = 16
    max_rows: int = 1000

    def __post_init__(self) -> None:
        check_one_of("quantize.tool", self.tool, TOOLS)
        check_one_of("quantize.calibration", self.calibration, CALIBRATIONS)
        check_range("quantize.percentile", self.percentile, 50, 100)
        check_range("quantize.samples", self.samples, 1, 100_000)
        check_range("quantize.max_accuracy_drop", self.max_accuracy_drop, 0, 100)
        check_range("quantize.max_trials", self.max_trials, 3, 1000)
        check_range("quantize.max_rows", self.max_rows, 1)
