"""Tells several observers of finished requests, each as much as it wants."""

from collections.abc import Sequence

from npuserve.observability.requests import FinishedRequest, RequestObserver


class RequestFanOut:
    """One observer made of several. What they want may change while the server runs."""

    def __init__(self, observers: Sequence[RequestObserver]) -> None:
        self._observers = tuple(observers)

    @property
    def wants_all(self) -> bool:
        """Whether any of them wants every request."""
        return any(observer.wants_all for observer in self._observers)

    @property
    def slow_ns(self) -> int:
        """The least duration that is slow for any of them, 0 if none cares."""
        least = 0
        for observer in self._observers:
            slow_ns = observer.slow_ns
            if slow_ns and (not least or slow_ns < least):
                least = slow_ns
        return least

    def observe(self, request: FinishedRequest) -> None:
        """Tell those that want to know."""
        duration_ns = request.ended_ns - request.started_ns
        for observer in self._observers:
            if observer.wants_all or (observer.slow_ns and duration_ns > observer.slow_ns):
                observer.observe(request)
