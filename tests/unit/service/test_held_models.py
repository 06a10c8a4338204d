"""What a request of several models has begun with, it ends with."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from npuserve.config.control_options import ControlOptions
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.request import GivenTensor, InferenceRequest
from npuserve.core.status import StatusCode
from npuserve.execution.ensemble import EnsembleBackend
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from support.scripted import ScriptedBackend

ONE = "input { name: 'x' data_type: TYPE_FP32 dims: 1 } output { name: 'y' data_type: TYPE_FP32 dims: 1 }"
STEPS = """
step { model_name: 'first' model_version: -1 input_map { key: 'x' value: 'x' } output_map { key: 'y' value: 'half' } }
step { model_name: 'last' model_version: -1 input_map { key: 'x' value: 'half' } output_map { key: 'y' value: 'y' } }
"""
CONFIGS = {
    "first": f"backend: 'identity' {ONE}",
    "last": f"backend: 'identity' {ONE}",
    "both": f"platform: 'ensemble' {ONE} ensemble_scheduling {{ {STEPS} }}",
}


def asked(id: str) -> InferenceRequest:
    given = GivenTensor("x", Dtype.FP32, (1,), np.float32(7).tobytes())
    return InferenceRequest(model="both", id=id, inputs=[given])


async def test_a_step_that_is_unloaded_meanwhile_still_answers(tmp_path: Path) -> None:
    for name, config in CONFIGS.items():
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(config)
    service, scripted = InferenceService(), ScriptedBackend()
    loader = ModelLoader({"identity": scripted, "ensemble": EnsembleBackend(service)})
    registry = ModelRegistry(loader, control=ControlOptions(mode="explicit", load_models=("*",)))
    service.serve(registry)
    await registry.load_all([tmp_path])
    assert not registry.failures()
    gate = scripted.executors["first"].gates["a"] = asyncio.Event()
    running = asyncio.create_task(service.infer(asked("a")))
    async with asyncio.timeout(10):
        while not scripted.executors["first"].running:  # noqa: ASYNC110 - the executor has no event for it
            await asyncio.sleep(0)
    await registry.unload_model("last")
    with pytest.raises(ServeError) as caught:
        await service.infer(asked("b"))
    assert caught.value.status is StatusCode.NOT_FOUND
    gate.set()
    assert (await running).outputs[0].data == np.float32(7).tobytes()
    await registry.close()
