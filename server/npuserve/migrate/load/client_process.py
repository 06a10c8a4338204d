"""One process of the load: `python -m npuserve.migrate.load.client_process`, driven over its stdin and stdout.

In comes a pickled Task; out `ready` or a reason, then a Slice each stretch of time until stdin says stop or ends.
"""

import pickle
import select
import signal
import sys
import time
from typing import IO

from npuserve._load import Client, now_ns
from npuserve.migrate.load.exchange import End, Slice, Task, send

SLICE_NS = 250_000_000
CONNECT_NS = 10_000_000_000
DRAIN_NS = 2_000_000_000


def main() -> None:
    """Serve one task."""
    # Ctrl-C is the parent's, which then stops this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    task: Task = pickle.load(source)
    client = Client(**task.client)
    send(target, client.connect(now_ns() + CONNECT_NS))
    start_ns: int = pickle.load(source)
    client.start(start_ns)
    _run(client, start_ns, source, target)
    client.drain(now_ns() + DRAIN_NS)
    send(target, End(client.answers, client.in_flight))


def _run(client: Client, start_ns: int, source: IO[bytes], target: IO[bytes]) -> None:
    client.run(start_ns)
    client.take()
    begun_ns = start_ns
    while not select.select([source], [], [], 0)[0]:
        cpu = time.process_time()
        end_ns = begun_ns + SLICE_NS
        client.run(end_ns)
        tally = client.take()
        done_ns = max(end_ns, now_ns())
        seconds = (done_ns - begun_ns) / 1e9
        begun_ns = end_ns if done_ns < end_ns + SLICE_NS else done_ns
        send(target, Slice(tally=tally, seconds=seconds, cpu_seconds=time.process_time() - cpu))


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, EOFError):
        sys.exit(1)  # the parent is gone
