"""Loads models of `backend: python`: a `model.py` with a TritonPythonModel."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelInstanceGroup, ModelOutput
from npuserve.config.contradiction import full_shape
from npuserve.config.message_json import message_json
from npuserve.config.model_config import parse_model_config_json
from npuserve.config.scheduling import scheduling_options
from npuserve.config.validate import unsupported, validate_tensors
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.execution.caller import ModelCaller
from npuserve.execution.python_model.channel import Message
from npuserve.execution.python_model.instance import InstanceOptions, PythonInstance
from npuserve.execution.python_model.metrics import CustomMetrics
from npuserve.execution.python_model.process import WorkerProcess
from npuserve.execution.scheduling import StreamingExecutor

_DTYPES = {dtype.config_name: dtype for dtype in Dtype}
_MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"


class PythonBackend:
    """Makes Python models, each instance with a process of its own.

    caller: runs what the models ask of other models. metrics: where the families of the models' own metrics are.
    """

    def __init__(self, caller: ModelCaller) -> None:
        self._caller = caller
        self.metrics = CustomMetrics()

    @property
    def needs_model_file(self) -> bool:
        """True: a version has a `model.py`."""
        return True

    async def device_count(self) -> int:
        """Return 0: the models run on the CPU, or where they like."""
        return 0

    async def complete(self, path: Path, config: ModelConfig) -> ModelConfig:
        """Return the config as the model's `auto_complete_config` completes it; see CompletingBackend.

        Raises ServeError: INTERNAL with what the model raised.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Message | None] = loop.create_future()

        def answer(message: Message | None) -> None:
            if not reply.done() and (message is None or message.kind == "completed"):
                reply.set_result(message)

        process = WorkerProcess(answer, lambda: answer(None))
        await _start(process, await asyncio.to_thread(_interpreter, config, path), path, config)
        try:
            process.send("auto_complete", json.dumps(message_json(config)))
            message = await reply
        finally:
            await process.stop()
        if message is None:
            raise ServeError(
                StatusCode.INTERNAL, f"the process of model '{config.name}' ended while it completed its config"
            )
        value: Any = message.value
        failure, completed = value
        if failure is not None:
            raise ServeError(StatusCode.INTERNAL, failure)
        return config if completed is None else parse_model_config_json(completed)

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return the inputs and outputs of the config. Raises ServeError: INVALID_ARGUMENT if they are not complete."""
        validate_tensors(config)
        return ModelSignature(
            inputs=tuple(_spec(config, tensor) for tensor in config.input),
            outputs=tuple(_spec(config, tensor) for tensor in config.output),
            gears=(),
        )

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> StreamingExecutor:
        """Start the processes and initialize the model in each.

        Raises ServeError: INVALID_ARGUMENT for its parameters, INTERNAL with what the model raised.
        """
        if config.batch_input or config.batch_output:
            raise unsupported(config, "batch_input or batch_output")
        instances = [
            PythonInstance(options, self._caller, self.metrics)
            for options in await asyncio.to_thread(_instances, path, config)
        ]
        started = await asyncio.gather(*(instance.start() for instance in instances), return_exceptions=True)
        failures = [failure for failure in started if isinstance(failure, BaseException)]
        if failures:
            await asyncio.gather(
                *(each.close() for each, failure in zip(instances, started, strict=True) if failure is None)
            )
            raise failures[0]
        return StreamingExecutor(
            config.name,
            signature,
            scheduling_options(config),
            instances,
            counts_responses=config.model_transaction_policy.decoupled,
        )

    async def close(self) -> None:
        """Do nothing: all is the executors'."""


async def _start(process: WorkerProcess, interpreter: str, path: Path, config: ModelConfig) -> None:
    try:
        await process.start(interpreter, path, path.parent.name)
    except OSError as error:
        raise ServeError(
            StatusCode.INTERNAL, f"cannot start a process of model '{config.name}': {error.strerror}"
        ) from error


def _spec(config: ModelConfig, tensor: ModelInput | ModelOutput) -> TensorSpec:
    return TensorSpec(tensor.name, _DTYPES[DataType.Name(tensor.data_type)], full_shape(config, tensor))


def _instances(path: Path, config: ModelConfig) -> list[InstanceOptions]:
    interpreter, timeout_s = _interpreter(config, path), _execute_timeout_s(config)
    model_config = json.dumps(message_json(config))
    instances: list[InstanceOptions] = []
    for group in config.instance_group:
        if group.passive:
            continue
        kind = ModelInstanceGroup.Kind.Name(group.kind).removeprefix("KIND_")
        for number in range(group.count):
            name = f"{group.name}_{number}"
            arguments = {
                "model_config": model_config,
                "model_instance_kind": kind,
                "model_instance_name": name,
                "model_instance_device_id": "0",
                "model_repository": str(path.parent.parent),
                "model_version": path.parent.name,
                "model_name": config.name,
            }
            instances.append(
                InstanceOptions(
                    name=name,
                    path=path,
                    arguments=arguments,
                    outputs=tuple(output.name for output in config.output),
                    is_decoupled=config.model_transaction_policy.decoupled,
                    interpreter=interpreter,
                    execute_timeout_s=timeout_s,
                )
            )
    if not instances:
        raise invalid(f"model '{config.name}' has no instance that takes requests")
    return instances


def _parameter(config: ModelConfig, name: str) -> str:
    return config.parameters[name].string_value if name in config.parameters else ""


def _execute_timeout_s(config: ModelConfig) -> float | None:
    text = _parameter(config, "execute_timeout_ms")
    if not text:
        return None
    try:
        timeout_ms = float(text)
    except ValueError:
        timeout_ms = math.nan
    if not 0 < timeout_ms < math.inf:
        raise invalid(f"model '{config.name}': parameter 'execute_timeout_ms' must be a number above 0, got '{text}'")
    return timeout_ms / 1000


def _interpreter(config: ModelConfig, path: Path) -> str:
    """Return the interpreter of the environment that the config names; "" if it names none. Blocks on the disk."""
    text = _parameter(config, "EXECUTION_ENV_PATH")
    if not text:
        return ""
    environment = Path(text.replace(_MODEL_DIRECTORY, str(path.parent.parent)))
    interpreter = environment / "bin" / "python"
    if interpreter.is_file():
        return str(interpreter)
    subject = f"model '{config.name}': parameter 'EXECUTION_ENV_PATH'"
    if environment.is_file():
        raise invalid(
            f"{subject} names the file '{environment}'; packed environments are not unpacked by this server: unpack it "
            "(with its conda-unpack, if it has one) and name the folder"
        )
    raise invalid(f"{subject} must name a folder with 'bin/python', got '{environment}'")
