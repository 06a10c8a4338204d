"""Answers ModelInfer messages twice: by the Python handlers, and by the native codec in a program of its own."""

import asyncio
import mmap
import os
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from google.protobuf.message import DecodeError
from npuserve._proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.repository.scan import ModelDirectory
from npuserve.service.call import Call
from npuserve.service.decode import RequestDecoder
from npuserve.service.infer_rpc import InferRpc
from npuserve.service.inference import InferenceService
from npuserve.service.interface import DeclaredTensor, interface_of
from npuserve.service.regions import SharedMemoryRegions
from support.identity_backend import IdentityExecutor

_BUILD = Path(os.environ.get("NPUSERVE_NATIVE_BUILD", Path(__file__).resolve().parents[2] / "build" / "editable"))
_PROGRAM = _BUILD / "tests" / "infer_answers"
_HEAD = struct.Struct("<BI")
_HANDED_ON = 255
_UNSERVED = "unserved"

REGION_BYTES = 2 * mmap.PAGESIZE
REGIONS = {"r": (0, REGION_BYTES), "half": (mmap.PAGESIZE, mmap.PAGESIZE)}
"""The regions of both, by name: where in the one object, and how many bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what comes with it; `response` if it is OK."""

    code: int
    message: str = ""
    response: ModelInferResponse | None = None


class _Executor(IdentityExecutor):
    """Gives inputs back; BYTES come out as the bytes of their raw form, in one row of an output `raw`."""

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        result = await super().execute(request)
        return ExecuteResult(
            outputs=[
                replace(tensor, name="raw", dtype=spec.dtype, shape=(1, len(tensor.data)))
                if spec.name == "raw"
                else tensor
                for tensor, spec in zip(result.outputs, self.signature.outputs, strict=True)
            ]
        )


class _Loader(ModelLoader):
    """Takes a config as complete. The signature has its inputs and outputs in alphabetical order, and an output for
    each input: those that the config leaves out are called `unserved`."""

    def __init__(self) -> None:
        super().__init__({})

    async def load(self, directory: ModelDirectory, version: int, config: ModelConfig) -> LoadedModel:
        interface = interface_of(config)
        dtype = _model_dtype(config)
        inputs = [_spec(interface.inputs[name], dtype) for name in sorted(interface.inputs)]
        outputs = [_spec(interface.outputs[name], dtype) for name in sorted(interface.outputs)]
        outputs += [replace(spec, name=_UNSERVED) for spec in inputs[len(outputs) :]]
        signature = ModelSignature(tuple(inputs), tuple(outputs), ())
        return LoadedModel(directory.name, version, config, signature, _Executor(signature, config))


def _model_dtype(config: ModelConfig) -> Dtype | None:
    """What all tensors of the model are in truth; None: what the config says."""
    parameter = config.parameters.get("model_dtype")
    return None if parameter is None else Dtype(parameter.string_value)


def _spec(tensor: DeclaredTensor, dtype: Dtype | None) -> TensorSpec:
    return TensorSpec(tensor.name, dtype or tensor.dtype, tensor.model_dims)


class HandlerAnswers:
    """The Python handlers over protobuf's own parser."""

    def __init__(self, registry: ModelRegistry, runner: asyncio.Runner, memory: Path) -> None:
        inference = InferenceService()
        inference.serve(registry)
        regions = SharedMemoryRegions(allow=True)
        for name, (offset, size) in REGIONS.items():
            regions.register(name, memory.name, offset, size)
        self._rpc = InferRpc(inference, RequestDecoder(regions))
        self._runner = runner
        self.memory = memory

    def answer(self, message: bytes) -> Answer:
        try:
            request = ModelInferRequest.FromString(message)
        except DecodeError:
            return Answer(StatusCode.INTERNAL, "Unable to parse request")
        try:
            return Answer(StatusCode.OK, "", self._runner.run(self._answered(request)))
        except ServeError as error:
            return Answer(error.status, error.message)

    async def _answered(self, request: ModelInferRequest) -> ModelInferResponse:
        return await self._rpc.model_infer(request, Call())


class NativeAnswers:
    """The native codec, in a process that is asked over its standard input."""

    def __init__(self, process: "subprocess.Popen[bytes]", models: Sequence[LoadedModel], memory: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        regions = "".join(f"{name} {memory} {offset} {size}\n" for name, (offset, size) in REGIONS.items())
        self._to.write(f"{_table(models)}{regions}end\n".encode())

    def answer(self, message: bytes) -> Answer | None:
        """Return the answer, None if the handlers are to give it."""
        self._to.write(struct.pack("<I", len(message)) + message)
        self._to.flush()
        head = self._from.read(_HEAD.size)
        assert len(head) == _HEAD.size, "the program is gone; see its standard error"
        code, length = _HEAD.unpack(head)
        content = self._from.read(length)
        if code == _HANDED_ON:
            return None
        if code == StatusCode.OK:
            return Answer(code, "", ModelInferResponse.FromString(content))
        return Answer(code, content.decode())


@contextmanager
def both_answers(folder: Path, configs: Mapping[str, str]) -> Iterator[tuple[HandlerAnswers, NativeAnswers]]:
    """Load models from configs by name, in text form, in a folder that is empty, and answer with them.

    Both have the same REGIONS, of an object of their own.
    """
    for name, text in configs.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(f'backend: "ascend" {text}')
    registry = ModelRegistry(_Loader())
    assert _PROGRAM.exists(), f"{_PROGRAM} is not built: make native"
    with asyncio.Runner() as runner:
        runner.run(registry.load_all([folder]))
        assert not registry.failures()
        models = [ready[-1] for ready in registry.ready_models()]
        with (
            _memory() as memory,
            subprocess.Popen([_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        ):
            # Closing its input ends the program.
            yield HandlerAnswers(registry, runner, memory), NativeAnswers(process, models, memory)
        runner.run(registry.close())
    assert process.returncode == 0


@contextmanager
def _memory() -> Iterator[Path]:
    memory = Path(f"/dev/shm/npuserve_codec_{os.getpid()}")
    memory.write_bytes(bytes(REGION_BYTES))
    try:
        yield memory
    finally:
        memory.unlink()


def _table(models: Sequence[LoadedModel]) -> str:
    return "".join(_row(loaded) for loaded in models) + "end\n"


def _row(loaded: LoadedModel) -> str:
    interface = interface_of(loaded.config)
    positions = {spec.name: position for position, spec in enumerate(loaded.signature.inputs)}
    specs = loaded.signature.inputs
    inputs = [
        f"{positions[name]} {_words(tensor, specs[positions[name]].dtype)}" for name, tensor in interface.inputs.items()
    ]
    outputs = [
        _words(interface.outputs[spec.name], spec.dtype)
        if spec.name in interface.outputs
        else f"- {spec.dtype.value} {spec.dtype.value} 0 0"
        for spec in loaded.signature.outputs
    ]
    head = f"{loaded.name} {loaded.version} {interface.max_batch_size} {int(interface.converts_integers)}"
    return " ".join([head, str(len(inputs)), *inputs, str(len(outputs)), *outputs]) + "\n"


def _words(tensor: DeclaredTensor, model_dtype: Dtype) -> str:
    shapes = [len(tensor.dims), *tensor.dims, len(tensor.model_dims), *tensor.model_dims]
    return f"{tensor.name} {tensor.dtype.value} {model_dtype.value} " + " ".join(map(str, shapes))
