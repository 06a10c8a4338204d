"""Puts together what runs a model: its backend's executor, and around it what its config asks for."""

import asyncio
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.sequence import initial_state, instance_configs, sequence_options, visible_signature
from npuserve.core.errors import ServeError
from npuserve.core.signature import ModelSignature
from npuserve.core.status import StatusCode
from npuserve.execution.backend import Backend
from npuserve.execution.executor import Executor
from npuserve.execution.response_cache import CachingExecutor, ResponseCache
from npuserve.execution.sequence import SequenceExecutor


async def assemble(
    backend: Backend,
    path: Path,
    config: ModelConfig,
    signature: ModelSignature,
    *,
    model_folder: Path,
    cache: ResponseCache | None,
    identity: str,
) -> Executor:
    """Load a model with its completed config; sequences are kept and answers are cached as the config says.

    signature: the file's, with what clients do not see. model_folder: has the folder `initial_state`.
    identity: tells this load apart from every other. Raises ServeError, and leaves nothing loaded then.
    """
    if config.HasField("sequence_batching"):
        return await _with_sequences(backend, path, config, signature, model_folder)
    executor = await backend.load(path, config, signature)
    return executor if cache is None or not config.response_cache.enable else CachingExecutor(executor, cache, identity)


async def _with_sequences(
    backend: Backend, path: Path, config: ModelConfig, signature: ModelSignature, model_folder: Path
) -> Executor:
    options = sequence_options(config)
    folder = model_folder / "initial_state"
    files = {state.initial_file: folder / state.initial_file for state in options.states if state.initial_file}
    try:
        contents = {name: await asyncio.to_thread(file.read_bytes) for name, file in files.items()}
    except OSError as error:
        raise ServeError(
            StatusCode.INTERNAL, f"failed to read the initial state of '{config.name}': {error}"
        ) from error
    for state in options.states:
        # What the first request of a sequence would fail at fails the load.
        initial_state(state, contents.get(state.initial_file), batches=config.max_batch_size > 0)
    instances: list[Executor] = []
    try:
        for alone in instance_configs(config):
            instances.append(await backend.load(path, alone, signature))
    except BaseException:
        await asyncio.gather(*(instance.close() for instance in instances))
        raise
    return SequenceExecutor(
        config.name,
        visible_signature(config, signature),
        options,
        instances,
        batches=config.max_batch_size > 0,
        initial_files=contents,
    )
