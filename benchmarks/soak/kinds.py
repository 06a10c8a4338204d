"""All kinds of clients of the mixed load, and how many of each work side by side on a machine of two cores."""

from benchmarks.soak import abuse, calls, garbage
from benchmarks.soak.load import Kind

KINDS = {
    "small": Kind(calls.small, clients=2, interval=0.02),
    "large": Kind(calls.large, interval=0.5),
    "compressed": Kind(calls.compressed, interval=0.5),
    "cancelled": Kind(calls.cancelled, interval=0.2),
    "expiring": Kind(calls.expiring, interval=0.2),
    "metadata": Kind(calls.metadata, interval=0.5),
    "refused": Kind(calls.refused, interval=0.5),
    "statistics": Kind(calls.statistics, interval=0.5),
    "reflection": Kind(calls.reflection, interval=0.5),
    "interleaved": Kind(abuse.interleaved, interval=0.3),
    "slow_writer": Kind(abuse.slow_writer, clients=3),
    "slow_reader": Kind(abuse.slow_reader, clients=3),
    "never_reader": Kind(abuse.never_reader, interval=2.0),
    "torn": Kind(abuse.torn, interval=1.0),
    "left": Kind(abuse.left, interval=0.2),
    "reset": Kind(abuse.reset, interval=0.5),
    "idle": Kind(abuse.idle, clients=10),
    "garbage": Kind(garbage.garbage, interval=0.5),
    "call_then_garbage": Kind(garbage.call_then_garbage, interval=0.3),
    "silent": Kind(garbage.silent, clients=2),
}
