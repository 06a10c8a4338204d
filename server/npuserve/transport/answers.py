"""What every front end answers in the same words: refusals, and messages that cannot be read."""

import logging

from google.protobuf.message import DecodeError, Message

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode

_log = logging.getLogger(__name__)

# gRPC's default limit for a header is 16 KiB; a character may take twelve bytes there, percent-encoded.
_MESSAGE_CHARACTERS = 1000


def parse(message: type[Message], data: bytes | None) -> Message:
    """Return the message that the bytes hold. Raises ServeError: INTERNAL if they hold none, or None came."""
    try:
        if data is not None:
            return message.FromString(data)
    except DecodeError as error:
        raise unreadable() from error
    raise unreadable()


def unreadable() -> ServeError:
    """Return what a message that cannot be read, or is missing, is answered with."""
    return ServeError(StatusCode.INTERNAL, "Unable to parse request")


def refusal(path: str, error: Exception) -> tuple[StatusCode, str]:
    """Return what a failed call is answered with; only a ServeError tells the client its reason."""
    if isinstance(error, ServeError):
        return error.status, shortened(error.message)
    _log.error("unexpected error in %s", path, exc_info=error)
    return StatusCode.INTERNAL, "unexpected error, see the server's log"


def shortened(message: str) -> str:
    """Return the message within what a peer's header limit carries; a client's own long names may be quoted in it."""
    if len(message) <= _MESSAGE_CHARACTERS:
        return message
    return message[: _MESSAGE_CHARACTERS - 1] + "…"
