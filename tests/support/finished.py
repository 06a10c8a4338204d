"""Records of requests, as front ends hand them to observers."""

from dataclasses import replace

from npuserve.core.status import StatusCode
from npuserve.core.timing import RequestTiming
from npuserve.observability.requests import FinishedRequest

TIMING = RequestTiming(
    batch_id=7,
    gear=2,
    batch_rows=3,
    arrival_ns=1_010_000,
    start_ns=1_030_000,
    gathered_ns=1_060_000,
    h2d_end_ns=1_100_000,
    execute_end_ns=1_200_000,
    d2h_end_ns=1_260_000,
    scattered_ns=1_330_000,
)
# On the host's own processor the stages of the device are not told apart.
UNDIVIDED = replace(TIMING, h2d_end_ns=0, execute_end_ns=0)
FINISHED = FinishedRequest(
    model="m",
    version="3",
    id="r 1",
    front_end="grpc",
    status=StatusCode.OK,
    message="",
    started_ns=1_000_000,
    ended_ns=1_400_000,
    timing=TIMING,
)
FAILED = replace(FINISHED, status=StatusCode.UNAVAILABLE, message="too late", timing=None)
