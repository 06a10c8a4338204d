"""ONNX Runtime's static quantization: int8 weights a channel, symmetric int8 activations, QDQ."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.chain.quantize_settings import QuantizeSettings
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.quantize.layers import TYPES, Layer
from npuserve.migrate.quantize.packages import imported

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]

_METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
_OTHER_METHOD = "try another quantize.calibration"


class _Rows:
    """Gives rows one at a time, as their shapes differ and the quantizer stacks what it gets at once."""

    def __init__(self, rows: Sequence[Mapping[str, Array]]) -> None:
        self._rows = rows
        self._left: Iterator[Mapping[str, Array]] = iter(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._rows[start_index:end_index])

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._left, None)


def quantize_static(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    rows: Sequence[Mapping[str, Array]],
    settings: QuantizeSettings,
    folder: Path,
) -> onnx.ModelProto:
    """Return the graph with all these layers in int8. folder: for files in between. Raises MigrationError.

    Outputs of layers are not quantized: as on the NPU, the int32 sums become floats at once.
    """
    package: Any = imported("onnx")
    tools: Any = imported("onnxruntime.quantization")
    source, target = folder / "named.onnx", folder / "quantized.onnx"
    package.save(model, str(source))
    try:
        with _quiet():
            tools.quantize_static(
                str(source),
                str(target),
                _Rows(rows),
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=sorted({each.kind for each in layers}),
                nodes_to_quantize=[each.name for each in layers],
                per_channel=True,
                activation_type=tools.QuantType.QInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=getattr(tools.CalibrationMethod, _METHODS[settings.calibration]),
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "OpTypesToExcludeOutputQuantization": list(TYPES),
                    "CalibStridedMinMax": 1,
                    "CalibPercentile": settings.percentile,
                },
            )
        quantized: onnx.ModelProto = package.load(str(target))
    except Exception as error:  # the package has no errors of its own
        reason = str(error).strip() or type(error).__name__
        raise MigrationError(f"ONNX Runtime cannot quantize the graph: {reason}", _OTHER_METHOD) from error
    finally:
        for path in (source, target):
            path.unlink(missing_ok=True)
    _check_scales(quantized)
    return quantized


def _check_scales(model: onnx.ModelProto) -> None:
    """Check what the calibration found. Raises MigrationError."""
    package: Any = imported("onnx")
    weights = {each.name: each for each in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    if not pairs:
        raise MigrationError("ONNX Runtime quantized nothing of the graph")
    for node in pairs:
        scale = package.numpy_helper.to_array(weights[node.input[1]])
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise MigrationError(
                f"the calibration sample gives the tensor '{node.input[0]}' no range: its scale is {scale}",
                "look in the comparison of a float precision for the layer that NaN or infinity comes from",
                _OTHER_METHOD,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow what the package prints, and its advice to root's log."""
    import logging

    logger = logging.getLogger()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        logger.addFilter(_is_not_advice)
        try:
            # Without a handler, the first message would make one for good.
            had = bool(logger.handlers)
            if not had:
                logger.addHandler(logging.NullHandler())
            yield
        finally:
            logger.removeFilter(_is_not_advice)
            if not had:
                logger.handlers.clear()


def _is_not_advice(record: Any) -> bool:
    return "pre-processing" not in str(record.getMessage())
