"""What can be loaded how: contradictions are told before anything is sent."""

from typing import Any

import numpy as np
import pytest
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.options import LoadOptions, share


def options(**changes: Any) -> LoadOptions:
    given = {"url": "localhost:8001", "model": "m", "samples": [{"x": np.zeros((1, 1))}]}
    return LoadOptions(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"samples": []}, "the data set is empty"),
        ({"concurrency": 0}, "the concurrency must be at least 1, got 0"),
        ({"request_rate": 0.0}, "the request rate must be positive"),
        ({"request_rate": float("nan")}, "the request rate must be positive"),
        ({"processes": 0}, "at least one process"),
        ({"max_windows": 0}, "at least one window"),
        ({"window_seconds": 0}, "longer than 0 s"),
        ({"warmup_seconds": -1}, "the warm-up"),
        ({"stability": 0}, "the stability"),
        ({"seed": -1}, "the seed"),
        ({"in_flight": 3}, "a closed loop has its concurrency in flight"),
        ({"concurrency": 3, "processes": 4}, "4 processes cannot share 3 requests in flight"),
        ({"concurrency": 3, "connections": 4}, "4 connections cannot share 3 requests in flight"),
        ({"concurrency": 8, "connections": 2, "processes": 4}, "4 processes cannot share 2 connections"),
        ({"concurrency": 8, "connections": 2, "protocol": "http"}, "HTTP/1.1 carries one request a connection"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MigrationError, match=sentence):
        options(**changes)


@pytest.mark.parametrize(
    ("changes", "connections", "in_flight"),
    [
        ({"concurrency": 1}, 1, 1),
        ({"concurrency": 64}, 11, 64),
        ({"concurrency": 6, "processes": 2}, 2, 6),
        ({"concurrency": 5000}, 64, 5000),
        ({"concurrency": 9, "protocol": "http"}, 9, 9),
        ({"request_rate": 10.0}, 4, 1024),
        ({"request_rate": 10.0, "in_flight": 7}, 4, 7),
        ({"request_rate": 10.0, "in_flight": 7, "protocol": "http"}, 7, 7),
        ({"request_rate": 10.0, "protocol": "http"}, 64, 64),
        ({"request_rate": 10.0, "connections": 2}, 2, 512),
    ],
)
def test_connections_and_requests_in_flight_have_good_defaults(
    changes: dict[str, Any], connections: int, in_flight: int
) -> None:
    chosen = options(**changes)
    assert (chosen.total_connections, chosen.total_in_flight) == (connections, in_flight)


def test_processes_share_everything_and_the_first_have_the_rest() -> None:
    assert [share(11, part, 4) for part in range(4)] == [3, 3, 3, 2]
