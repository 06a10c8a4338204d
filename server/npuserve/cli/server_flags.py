"""The flags of the server as a whole: models, life, logs, traces, devices."""

import argparse
from pathlib import Path

from npuserve.cli.acl_library import DEVICES
from npuserve.cli.parser import add_flag
from npuserve.config.control_options import ControlOptions
from npuserve.config.options import LOG_FORMATS
from npuserve.config.sharing import SharingOptions, sharing_options


def add_model_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say which models are loaded, and how."""
    add = group.add_argument
    add(
        "--model-repository",
        "--model-store",
        action="append",
        type=Path,
        required=True,
        metavar="DIR",
        dest="repositories",
        help="folder with one folder a model; may be given several times",
    )
    add(
        "--model-control-mode",
        default="none",
        metavar="MODE",
        help="none: all, at start; explicit: by --load-model and by calls; poll: as the folders change (%(default)s)",
    )
    add("--load-model", action="append", default=[], metavar="NAME", help="load at start in mode explicit; * is all")
    add("--repository-poll-secs", type=float, default=15.0, metavar="S", help="how often mode poll looks (15)")
    add("--model-config-name", default="", metavar="NAME", help="take configs/NAME.pbtxt before config.pbtxt")
    add("--model-load-thread-count", type=int, default=4, metavar="N", help="models loaded at the same time (4)")
    add("--model-load-retry-count", type=int, default=0, metavar="N", help="how often a failed load is repeated (0)")
    add_flag(group, "--disable-auto-complete-config", False, "take configs as they are written (false)")
    add(
        "--backend-config",
        action="append",
        default=[],
        metavar="BACKEND,KEY=VALUE",
        help="a setting of a backend, as onnxruntime,default-max-batch-size=8; may be repeated",
    )
    add("--cache-config", action="append", default=[], metavar="local,size=BYTES", help="room for the response cache")


def control_options(parsed: argparse.Namespace) -> ControlOptions:
    """Return the checked options of model control. Raises ValueError."""
    return ControlOptions(
        mode=parsed.model_control_mode,
        load_models=tuple(parsed.load_model),
        poll_secs=parsed.repository_poll_secs,
        load_retry_count=parsed.model_load_retry_count,
        config_name=parsed.model_config_name,
    )


def add_life_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say what the server is called and when it starts and ends."""
    add = group.add_argument
    add("--id", default="npuserve", metavar="NAME", help="server name in the metadata (%(default)s)")
    add("--exit-timeout-secs", type=float, default=30.0, metavar="S", help="time to drain in after a signal (30)")
    add_flag(group, "--exit-on-error", True, "exit if a model fails to load (true)")
    add_flag(group, "--strict-readiness", True, "not ready while a model has failed to load (true)")
    add_flag(group, "--allow-client-shm", None, "shared memory for all peers or for none (for local peers)")


def add_log_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say what is logged and traced."""
    add = group.add_argument
    add("--log-verbose", type=int, default=0, metavar="N", help="1 or more adds a line a request (0)")
    for level in ("info", "warning", "error"):
        add_flag(group, f"--log-{level}", True, f"write {level} lines (true)")
    add("--log-format", default="default", metavar="FORMAT", help=f"one of {', '.join(LOG_FORMATS)}")
    add("--log-file", type=Path, metavar="FILE", help="append lines to a file (stderr)")
    add("--log-slow-requests-ms", type=float, default=0.0, metavar="MS", help="log requests that take longer; 0: none")
    add(
        "--trace-config",
        action="append",
        default=[],
        metavar="[MODE,]KEY=VALUE",
        help="level, rate, count, mode (triton or opentelemetry), triton,file= and the like; may be repeated",
    )


def add_device_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say which devices run the models."""
    add = group.add_argument
    add("--device", choices=DEVICES, default="auto", help="npu, emulator, or auto: npu if ASCEND_HOME_PATH is set")
    add("--acl-library", metavar="PATH", help="AscendCL library (also NPUSERVE_ACL_LIBRARY); goes before --device")
    add(
        "--host-policy",
        action="append",
        default=[],
        metavar="NAME,KEY=VALUE",
        help="numa-node=N or cpu-cores=A-B of the threads of instances whose host_policy is NAME; may be repeated",
    )
    add("--rate-limit", default="off", metavar="MODE", help="execution_count: instances wait for resources (off)")
    add(
        "--rate-limit-resource",
        action="append",
        default=[],
        metavar="NAME:COUNT[:DEVICE]",
        help="how many there are of a resource (the largest need); may be repeated",
    )


def device_sharing(parsed: argparse.Namespace) -> SharingOptions:
    """Return the checked options of who runs where and when. Raises ValueError."""
    return sharing_options(
        host_policies=parsed.host_policy, rate_limit=parsed.rate_limit, resources=parsed.rate_limit_resource
    )
