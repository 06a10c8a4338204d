"""Options of ONNX Runtime's sessions: the parameters that Triton's backend knows, for both ways to run a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import invalid

if TYPE_CHECKING:
    import onnxruntime

_SESSION_ENTRY = "session."
# `optimization { graph { level } }` as Triton's backend reads it, in ONNX Runtime's count; others are all of them.
_LEVELS = {-1: 1, 1: 2, 2: 0}
_ALL = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxOptions:
    """How a session runs; numbers are ONNX Runtime's own.

    shares_session: whether the instances of a group have one session together.
    """

    graph_level: int = _ALL
    mode: int = 0
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    has_memory_arena: bool = True
    has_memory_pattern: bool = True
    entries: tuple[tuple[str, str], ...] = ()
    shares_session: bool = False

    def of_package(self, ort: Any) -> onnxruntime.SessionOptions:
        """Return them for the Python package, which is `ort`."""
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel(self.graph_level)
        options.execution_mode = ort.ExecutionMode(self.mode)
        options.intra_op_num_threads = self.intra_op_threads
        options.inter_op_num_threads = self.inter_op_threads
        options.enable_cpu_mem_arena = self.has_memory_arena
        options.enable_mem_pattern = self.has_memory_pattern
        for name, value in self.entries:
            options.add_session_config_entry(name, value)
        return options

    def of_engine(self) -> _engine.OnnxOptions:
        """Return them for the native engine."""
        return _engine.OnnxOptions(
            graph_optimization_level=self.graph_level,
            execution_mode=self.mode,
            intra_op_threads=self.intra_op_threads,
            inter_op_threads=self.inter_op_threads,
            memory_arena=self.has_memory_arena,
            memory_pattern=self.has_memory_pattern,
            entries=self.entries,
        )


FOR_SHAPES = OnnxOptions(graph_level=0, intra_op_threads=1)
"""For a session that only tells names and shapes: optimizing would take the longest."""


def onnx_options(config: ModelConfig) -> OnnxOptions:
    """Read them from a config; `session.*` are entries by their own names. Raises ServeError: INVALID_ARGUMENT."""
    mode = _number(config, "execution_mode")
    if mode not in (0, 1):
        raise invalid(
            f"Invalid configuration value provided. Expected values for  execution_mode are 0 or 1 but got {mode} ."
        )
    return OnnxOptions(
        graph_level=_LEVELS.get(config.optimization.graph.level, _ALL),
        mode=mode,
        intra_op_threads=max(0, _number(config, "intra_op_thread_count")),
        inter_op_threads=max(0, _number(config, "inter_op_thread_count")),
        has_memory_arena=_flag(config, "enable_mem_arena", default=True),
        has_memory_pattern=_flag(config, "enable_mem_pattern", default=True),
        entries=tuple(
            (name, config.parameters[name].string_value)
            for name in sorted(config.parameters)
            if name.startswith(_SESSION_ENTRY)
        ),
        shares_session=_flag(config, "share_session_between_instances", default=False),
    )


def _number(config: ModelConfig, name: str) -> int:
    """Return a parameter that is a whole number; 0 if it is not given."""
    if name not in config.parameters:
        return 0
    text = config.parameters[name].string_value
    try:
        return int(text)
    except ValueError:
        raise invalid(f"model '{config.name}': parameter '{name}' must be an integer, got '{text}'") from None


def _flag(config: ModelConfig, name: str, *, default: bool) -> bool:
    if name not in config.parameters:
        return default
    text = config.parameters[name].string_value
    if text.lower() not in ("true", "false", "1", "0"):
        raise invalid(f"model '{config.name}': parameter '{name}' must be true or false, got '{text}'")
    return text.lower() in ("true", "1")
