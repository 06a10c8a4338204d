"""The one exception that reaches a client."""

from npuserve.core.status import StatusCode


class ServeError(Exception):
    """A failure with the status code and the sentence that the client sees."""

    def __init__(self, status: StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ExecutionError(ServeError):
    """A request fits the model, and the model failed at it."""


def invalid(message: str) -> ServeError:
    """Return an INVALID_ARGUMENT error: the caller sent something wrong."""
    return ServeError(StatusCode.INVALID_ARGUMENT, message)


def lacks_room(message: str) -> bool:
    """Say whether an INTERNAL error is none of a model's: the client's shared memory is too small for an output."""
    return message.startswith("shared memory size specified with the request")
