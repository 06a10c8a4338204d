"""The last stage: the new service beside the one that it replaces, in accuracy, agreement, throughput and latency."""

from npuserve.migrate.prove.stage import ProveStage

__all__ = ["ProveStage"]
