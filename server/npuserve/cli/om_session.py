"""One OM on one device, run on arrays: without a server, through the engine."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from npuserve import _engine
from npuserve.core.dtype import Dtype

Array = npt.NDArray[Any]

_PATIENCE_SECONDS = 600.0


class OmRunError(Exception):
    """The OM cannot run on what was given; one sentence for the user."""


class OmSession:
    """A loaded OM. Inputs that are smaller than the gear they run in are padded with 0, outputs cut back.

    candidates: in order of preference, the files that together are one AscendCL library.
    Raises what the engine raises: LibraryError, AclError, DeviceMemoryError, ValueError.
    """

    def __init__(self, candidates: Sequence[Sequence[str]], path: Path, device: int) -> None:
        self._runtime = _engine.Runtime([list(files) for files in candidates])
        self._completions = _engine.CompletionQueue()
        try:
            self.signature = self._runtime.describe(str(path), device)
            options = _options(path.stem, self.signature, device)
            self._model = _engine.Model(self._runtime, str(path), options, self._completions)
        except BaseException:
            self._completions.close()
            self._runtime.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.close()
        self._completions.close()
        self._runtime.close()

    def prepared(self, sample: Mapping[str, Array]) -> list[Array]:
        """Return a sample's tensors as the OM takes them. Raises OmRunError for names and dtypes that are not its."""
        names = [spec.name for spec in self.signature.inputs]
        if missing := [name for name in names if name not in sample]:
            raise OmRunError(f"the OM's input '{missing[0]}' is missing; it takes {', '.join(names)}")
        if unknown := [name for name in sample if name not in names]:
            raise OmRunError(f"the OM has no input '{unknown[0]}'; it takes {', '.join(names)}")
        arrays = []
        for spec in self.signature.inputs:
            array = np.ascontiguousarray(sample[spec.name]).reshape(np.shape(sample[spec.name]))
            if array.dtype != Dtype(spec.dtype).numpy:
                raise OmRunError(f"input '{spec.name}' must be {spec.dtype}, got {array.dtype}")
            arrays.append(array)
        return arrays

    def run(self, inputs: Sequence[Array]) -> tuple[dict[str, Array], float]:
        """Run once; return the outputs by name, and the seconds from giving it in to having it back.

        Raises OmRunError if it fails, ValueError for shapes that do not fit.
        """
        rows = inputs[0].shape[0] if _has_batches(self.signature) else 1
        started = time.perf_counter()
        self._model.submit(0, [(array, array.shape) for array in inputs], rows)
        if not self._completions.wait(_PATIENCE_SECONDS):
            raise OmRunError(f"no answer within {_PATIENCE_SECONDS:g} s")
        (completion,) = self._completions.drain()
        seconds = time.perf_counter() - started
        if completion.status:
            raise OmRunError(completion.message)
        outputs = {
            spec.name: np.frombuffer(memoryview(output), Dtype(spec.dtype).numpy).reshape(output.shape).copy()
            for spec, output in zip(self.signature.outputs, completion.outputs, strict=True)
        }
        return outputs, seconds


def _options(name: str, signature: _engine.Signature, device: int) -> _engine.ModelOptions:
    """Return options for one request at a time: rows are padded if the OM's rows vary, exact if not."""
    batches = _has_batches(signature)
    return _engine.ModelOptions(
        name=name,
        max_batch_size=max(gear.input_shapes[0][0] for gear in signature.gears) if batches else 0,
        dynamic_batching=False,
        preferred_batch_sizes=[],
        max_queue_delay_us=0,
        max_queue_size=0,
        devices=[device],
        slots_per_instance=1,
        variable_output_axes=[
            [axis for axis in range(1, len(spec.shape)) if spec.shape[axis] == -1] if batches else []
            for spec in signature.outputs
        ],
    )


def _has_batches(signature: _engine.Signature) -> bool:
    """Whether gears differ in rows; if not, a request is one execution of the exact shapes."""
    return bool(signature.inputs) and all(spec.shape and spec.shape[0] == -1 for spec in signature.inputs)
