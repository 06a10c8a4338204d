"""Which models a shadow is told of: those whose requests mean the same when they are repeated elsewhere."""

from typing import Literal

from npuserve._proto import model_config_pb2 as pb
from npuserve.config.mirror_options import MirrorOptions
from npuserve.repository.registry import ModelRegistry

MirrorKind = Literal["mirrored", "sequence", "decoupled"]


class MirroredModels:
    """The ready models that may be mirrored. Used on the event loop only.

    options: how, with the names of the models that were asked for.
    """

    def __init__(self, registry: ModelRegistry, options: MirrorOptions) -> None:
        self._registry = registry
        self.options = options

    def current(self) -> dict[str, MirrorKind]:
        """Return the ready models by name, each with what keeps it from being mirrored."""
        kinds: dict[str, MirrorKind] = {}
        for ready in self._registry.ready_models():
            name = ready[-1].name
            if not self.options.models or name in self.options.models:
                kinds[name] = _kind(ready[-1].config)
        return kinds


def _kind(config: pb.ModelConfig) -> MirrorKind:
    if config.model_transaction_policy.decoupled:
        return "decoupled"
    return "sequence" if config.HasField("sequence_batching") else "mirrored"
