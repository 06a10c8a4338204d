"""When the stages of a request happened."""

from npuserve.core.record import record


@record(kw_only=True)
class RequestTiming:
    """The execution that answered a request, and its instants as `time.monotonic_ns()` counts, in order.

    batch_id: counts the model's executions. gear: the compiled shape that ran, by its number in the signature.
    batch_rows: rows of all its requests. arrival_ns: the request entered the queue. start_ns: its batch was closed.
    gathered_ns: its inputs lay in the slot. h2d_end_ns, execute_end_ns, d2h_end_ns: they were on the device, the model
    had run, the outputs were on the host; where a device does not tell them apart the first two are 0.
    scattered_ns: the outputs were with the request.
    """

    batch_id: int
    gear: int
    batch_rows: int
    arrival_ns: int
    start_ns: int
    gathered_ns: int
    h2d_end_ns: int
    execute_end_ns: int
    d2h_end_ns: int
    scattered_ns: int


NativeTiming = tuple[int, int, int, int, int, int, int, int, int, int]
"""The fields of a RequestTiming in their order, as extension modules give them."""


def request_timing(native: NativeTiming) -> RequestTiming:
    """Return the timing that an extension module tells of."""
    batch_id, gear, batch_rows, arrival_ns, start_ns, gathered_ns, h2d_end_ns, execute_end_ns, d2h_end_ns, last = native
    return RequestTiming(
        batch_id=batch_id,
        gear=gear,
        batch_rows=batch_rows,
        arrival_ns=arrival_ns,
        start_ns=start_ns,
        gathered_ns=gathered_ns,
        h2d_end_ns=h2d_end_ns,
        execute_end_ns=execute_end_ns,
        d2h_end_ns=d2h_end_ns,
        scattered_ns=last,
    )
