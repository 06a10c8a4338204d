"""Flags of tritonserver that change nothing here, and those that would and are not there."""

from collections.abc import Collection, Mapping

# NVIDIA's devices, tuning of threads and pools that npuserve does not have.
WITHOUT_EFFECT = (
    *("--http-thread-count", "--grpc-infer-thread-count", "--grpc-infer-allocation-pool-size"),
    *("--grpc-max-response-pool-size", "--pinned-memory-pool-byte-size", "--cuda-memory-pool-byte-size"),
    *("--min-supported-compute-capability", "--model-load-gpu-limit", "--enable-peer-access"),
    *("--cuda-virtual-address-size", "--buffer-manager-thread-count", "--backend-directory", "--repoagent-directory"),
    "--cache-directory",
)

# Flags whose effect a user relies on: leaving them out silently would be unsafe or wrong. With the values that ask for
# nothing they are accepted.
REFUSED: Mapping[str, Collection[str]] = {
    "--model-namespacing": ("false", "off", "0"),
    "--allow-sagemaker": ("false", "off", "0"),
    "--allow-vertex-ai": ("false", "off", "0"),
}

# Old names of tritonserver's, and what they mean today.
RENAMED: Mapping[str, str] = {
    "--strict-model-config": "--disable-auto-complete-config",
    "--response-cache-byte-size": "--cache-config=local,size=",
    "--trace-file": "--trace-config=triton,file=",
    "--trace-level": "--trace-config=level=",
    "--trace-rate": "--trace-config=rate=",
    "--trace-count": "--trace-config=count=",
    "--trace-log-frequency": "--trace-config=triton,log-frequency=",
}


def renamed(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments with today's names for old ones, and the old ones that were given."""
    today: list[str] = []
    old: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in RENAMED:
            today.append(argument)
            continue
        old.append(name)
        value = value if equals else next(rest, "")
        new = RENAMED[name]
        today.append(f"{new}{value}" if new.endswith("=") else f"{new}={value}")
    return today, old
