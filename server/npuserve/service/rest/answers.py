"""HTTP responses: JSON, nothing, or an error with Triton's status for its code."""

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.service.rest.exchange import HttpResponse
from npuserve.service.rest.json_text import to_bytes
from npuserve.service.rest.tensor_json import dump_json

JSON = ("Content-Type", "application/json")

# Any other code is the client's fault, 400, as in Triton.
_HTTP_STATUSES = {
    StatusCode.INTERNAL: 500,
    StatusCode.NOT_FOUND: 404,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.DEADLINE_EXCEEDED: 504,
}

EMPTY = HttpResponse(headers=(JSON,))


def json_response(value: object) -> HttpResponse:
    """Return 200 with a JSON body."""
    return HttpResponse(headers=(JSON,), body=to_bytes(dump_json(value)))


def http_status(status: StatusCode) -> int:
    """Return the HTTP status that Triton answers for a code."""
    return _HTTP_STATUSES.get(status, 400)


def error_response(error: ServeError) -> HttpResponse:
    """Return the error as a status and a sentence."""
    return refusal(http_status(error.status), error.message)


def refusal(status: int, message: str, *headers: tuple[str, str]) -> HttpResponse:
    """Return an error of HTTP itself."""
    return HttpResponse(status=status, headers=(JSON, *headers), body=error_body(message))


def error_body(message: str) -> bytes:
    """Return the JSON of an error."""
    return dump_json({"error": message}).encode("utf-8", "backslashreplace")
