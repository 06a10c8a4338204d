"""What the server is told at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npuserve.config.control_options import ControlOptions
from npuserve.config.grpc_options import GrpcOptions
from npuserve.config.http_options import HttpOptions
from npuserve.config.metrics_options import MetricsOptions
from npuserve.config.require import require
from npuserve.config.sharing import SharingOptions
from npuserve.config.trace_options import TraceOptions

LOG_FORMATS = ("default", "ISO8601", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The server's options, with Triton's names and defaults. Raises ValueError, naming the option and its range.

    model_repositories: at least one existing folder; each holds one folder a model.
    control: which models are loaded, and when.
    grpc, http, metrics_endpoint: where and how is served; None: not at all.
    metrics, trace: what is told of.
    exit_timeout_secs: how long accepted requests may take to finish once the server is told to stop.
    exit_on_error: a model that fails to load at start ends the server.
    strict_readiness: a model that failed to load makes the server not ready.
    model_load_concurrency: models loaded at the same time.
    default_max_batch_sizes: by backend ("": of every other), of models that can batch and do not say how far.
    response_cache_bytes: room for cached responses; 0 is no cache.
    allow_client_shm: who may use shared memory; None are the peers on this machine.
    log_file: lines are appended to it; None is stderr. log_slow_requests_ms: 0 logs none for its slowness.
    acl_candidates: in order of preference, the files that together are one AscendCL library.
    sharing: where instances run, and what they wait for.
    """

    model_repositories: tuple[Path, ...]
    control: ControlOptions = field(default_factory=ControlOptions)
    server_id: str = "npuserve"
    grpc: GrpcOptions | None = field(default_factory=GrpcOptions)
    http: HttpOptions | None = None
    metrics_endpoint: HttpOptions | None = None
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    trace: TraceOptions = field(default_factory=TraceOptions)
    exit_timeout_secs: float = 30.0
    exit_on_error: bool = True
    strict_readiness: bool = True
    disable_auto_complete_config: bool = False
    model_load_concurrency: int = 4
    default_max_batch_sizes: Mapping[str, int] = field(default_factory=dict)
    response_cache_bytes: int = 0
    allow_client_shm: bool | None = None
    log_verbose: int = 0
    log_info: bool = True
    log_warning: bool = True
    log_error: bool = True
    log_format: str = "default"
    log_file: Path | None = None
    log_slow_requests_ms: float = 0.0
    acl_candidates: tuple[tuple[str, ...], ...] = ()
    sharing: SharingOptions = field(default_factory=SharingOptions)

    def __post_init__(self) -> None:
        require(bool(self.model_repositories), "--model-repository must be given at least once")
        for path in self.model_repositories:
            require(path.is_dir(), f"--model-repository must be a folder, got '{path}'")
        self._check_ports()
        require(bool(self.server_id), "--id must not be empty")
        require(
            self.exit_timeout_secs >= 0, f"--exit-timeout-secs must be 0 or more seconds, got {self.exit_timeout_secs}"
        )
        require(
            self.model_load_concurrency >= 1,
            f"--model-load-thread-count must be 1 or more, got {self.model_load_concurrency}",
        )
        require(self.log_verbose >= 0, f"--log-verbose must be 0 or more, got {self.log_verbose}")
        require(
            self.log_format in LOG_FORMATS,
            f"--log-format must be one of {', '.join(LOG_FORMATS)}, got '{self.log_format}'",
        )
        require(
            self.response_cache_bytes >= 0, f"--cache-config size must be 0 or more, got {self.response_cache_bytes}"
        )
        require(
            self.log_slow_requests_ms >= 0,
            f"--log-slow-requests-ms must be 0 or more, got {self.log_slow_requests_ms:g}",
        )
        require(all(self.acl_candidates), "each AscendCL library candidate must name at least one file")

    def _check_ports(self) -> None:
        served = {"--grpc-port": self.grpc, "--http-port": self.http, "--metrics-port": self.metrics_endpoint}
        require(any(served.values()), "at least one of --allow-grpc, --allow-http and --allow-metrics must be true")
        taken: dict[tuple[str, int], str] = {}
        for flag, where in served.items():
            if where is None or where.port == 0:
                continue
            other = taken.setdefault((where.address, where.port), flag)
            require(other == flag, f"{flag} must differ from {other}, both are {where.port} on {where.address}")
