"""The two services that are compared: the new one, and the old one or ONNX Runtime in its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from npuserve.migrate.chain.settings import Settings
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.client import Client, ServiceError
from npuserve.migrate.serve.model_folder import ModelParts, write_model
from npuserve.migrate.serve.server import Server

NEW, OLD = "npuserve", "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service. what: the server behind it, in words. process: ours; None for one that ran before."""

    name: str
    url: str
    model: str
    what: str
    process: Server | None = None


@contextmanager
def new_service(settings: Settings, repository: Path, log: Path) -> Iterator[Service]:
    """Serve the migrated model. Raises MigrationError."""
    with Server(repository, log) as server:
        yield Service(
            name=NEW,
            url=server.url,
            model=settings.source.name,
            what=f"npuserve, backend {settings.serve.backend}",
            process=server,
        )


@contextmanager
def old_service(settings: Settings, parts: ModelParts, repository: Path, log: Path) -> Iterator[Service]:
    """Find the running baseline, or serve the exported ONNX by ONNX Runtime. Raises MigrationError."""
    prove = settings.prove
    if prove.baseline:
        yield _running(prove.baseline, prove.baseline_model or settings.source.name)
        return
    fallback = replace(settings, serve=replace(settings.serve, backend="onnxruntime", version=1, config=None))
    write_model(fallback, parts, repository)
    with Server(repository, log) as server:
        yield Service(
            name=OLD,
            url=server.url,
            model=settings.source.name,
            what="npuserve, backend onnxruntime",
            process=server,
        )


def _running(url: str, model: str) -> Service:
    try:
        with Client(url) as client:
            what = client.server()
            client.interface(model)
    except ServiceError as error:
        raise MigrationError(
            f"prove.baseline {url} does not serve the model '{model}': {error}",
            "start the old server, or name its model as prove.baseline_model",
            "leave prove.baseline empty: then ONNX Runtime is the baseline",
        ) from error
    return Service(name=OLD, url=url, model=model, what=what)
