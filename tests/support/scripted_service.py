"""An inference service over scripted models."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from npuserve.core.dtype import Dtype
from npuserve.observability.requests import RequestObserver
from npuserve.repository.loading import ModelLoader
from npuserve.repository.registry import ModelRegistry
from npuserve.service.inference import InferenceService
from support.scripted import ScriptedBackend, ScriptedExecutor


@asynccontextmanager
async def scripted_service(
    folder: Path, configs: Mapping[str, str], *, observer: RequestObserver | None = None, **dtypes: Dtype
) -> AsyncIterator[tuple[InferenceService, dict[str, ScriptedExecutor]]]:
    """Serve models of these names and configs; give the service and the executors."""
    for name, config in configs.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text('backend: "identity" ' + config)
        (folder / name / "labels.txt").write_text("zero\none\n\nthree\n")
    backend = ScriptedBackend(**dtypes)
    registry = ModelRegistry(ModelLoader({"identity": backend}))
    await registry.load_all([folder])
    assert not registry.failures()
    service = InferenceService(observer)
    service.serve(registry)
    try:
        yield service, backend.executors
    finally:
        await registry.close()
