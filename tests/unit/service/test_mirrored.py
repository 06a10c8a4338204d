"""Which models a shadow is told of."""

from types import SimpleNamespace
from typing import cast

from npuserve._proto.model_config_pb2 import ModelConfig, ModelSequenceBatching, ModelTransactionPolicy
from npuserve.config.mirror_options import MirrorOptions
from npuserve.repository.registry import ModelRegistry
from npuserve.service.mirrored import MirroredModels

PLAIN = ModelConfig()
SEQUENCE = ModelConfig(sequence_batching=ModelSequenceBatching())
DECOUPLED = ModelConfig(model_transaction_policy=ModelTransactionPolicy(decoupled=True))


def mirrored(models: dict[str, list[ModelConfig]], *names: str) -> dict[str, str]:
    ready = [[SimpleNamespace(name=name, config=each) for each in versions] for name, versions in models.items()]
    registry = cast(ModelRegistry, SimpleNamespace(ready_models=lambda: ready))
    options = MirrorOptions(ring=-1, share=1, models=frozenset(names), most_bytes=1)
    return dict(MirroredModels(registry, options).current())


def test_each_model_has_what_keeps_it_from_being_mirrored() -> None:
    found = mirrored({"a": [PLAIN], "b": [SEQUENCE], "c": [DECOUPLED]})
    assert found == {"a": "mirrored", "b": "sequence", "c": "decoupled"}


def test_the_highest_version_counts() -> None:
    assert mirrored({"a": [SEQUENCE, PLAIN]}) == {"a": "mirrored"}


def test_only_the_models_that_were_named_are_told_of() -> None:
    assert mirrored({"a": [PLAIN], "b": [PLAIN], "c": [SEQUENCE]}, "a", "c", "absent") == {
        "a": "mirrored",
        "c": "sequence",
    }
