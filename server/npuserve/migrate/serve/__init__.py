"""From a compiled model to a running service: the model repository, and a smoke test of it by a real server."""

from npuserve.migrate.serve.stage import ServeStage

__all__ = ["ServeStage"]
