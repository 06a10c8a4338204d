"""Lets the answers of a model out in the order in which their requests were taken (`preserve_ordering`)."""

from collections import deque

from npuserve.execution.open_request import OpenRequest


class AnswerOrder:
    """The requests that run. Answers of the first taken go out; the others' are held until those before have ended."""

    def __init__(self) -> None:
        self._taken: deque[OpenRequest] = deque()

    def take(self, request: OpenRequest) -> None:
        """Note that a request begins to run."""
        request.is_held = bool(self._taken)
        self._taken.append(request)

    def finished(self) -> None:
        """Release what may go out, once a request has finished."""
        taken = self._taken
        while taken and taken[0].is_finished:
            taken.popleft()
            if taken:
                taken[0].release()
