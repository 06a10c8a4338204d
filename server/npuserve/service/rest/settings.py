"""Log and trace settings over HTTP."""

from dataclasses import replace

from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.observability.logging import LogSettings
from npuserve.observability.tracing import FREQUENCY_KEYS, TraceSettings
from npuserve.service.rest.answers import json_response
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.json_text import parse_json
from npuserve.service.rest.members import as_array, as_boolean, as_string, as_unsigned, find
from npuserve.service.settings import FORMATS, SWITCHES, log_file_fixed, log_settings
from npuserve.service.trace import TraceService

_LARGEST_LEVEL = 2**32 - 1


class LogHandler:
    """Answers `/v2/logging`."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    async def settings(self, http: HttpRequest) -> HttpResponse:
        """Change what a POST names, all of it or nothing, and return what is in force. Raises ServeError."""
        if http.method == "POST":
            self._change(parse_json(http.body))
        return json_response(log_settings(self._settings.options))

    def _change(self, document: object) -> None:
        options = self._settings.options
        if find(document, "log_file") is not None:
            raise log_file_fixed()
        for setting, name in SWITCHES.items():
            if (value := find(document, setting)) is not None:
                options = replace(options, **{name: as_boolean(value)})  # type: ignore[arg-type]  # all are booleans
        if (value := find(document, "log_verbose_level")) is not None:
            options = replace(options, verbose=min(as_unsigned(value), _LARGEST_LEVEL))
        if (value := find(document, "log_format")) is not None:
            wanted = as_string(value)
            if wanted not in FORMATS:
                raise ServeError(StatusCode.UNAVAILABLE, f"invalid argument for --log_format, got: {wanted}")
            options = replace(options, format=wanted)
        self._settings.change(options)


class TraceHandler:
    """Answers `/v2/trace/setting` and `/v2/models/M/trace/setting`."""

    def __init__(self, service: TraceService, settings: TraceSettings) -> None:
        self._service = service
        self._settings = settings

    async def settings(self, http: HttpRequest, model: str = "") -> HttpResponse:
        """Change what a POST names, of one model or of all, and return what is in force. Raises ServeError."""
        given = _trace_values(parse_json(http.body)) if http.method == "POST" else {}
        try:
            self._service.update(model, given)
        except ServeError as error:
            # Triton leaves this blank out over HTTP, and has it over gRPC.
            message = error.message.replace("Expecting value >= -1, got: ", "Expecting value >= -1, got:")
            raise ServeError(error.status, message) from error
        values = self._settings.described(model)
        return json_response({key: value if key == "trace_level" else value[0] for key, value in values.items()})


def _trace_values(document: object) -> dict[str, list[str]]:
    """Return the settings that are named; an empty list, from null, is no setting of one's own. Raises ServeError."""
    if not isinstance(document, dict):
        return {}
    given: dict[str, list[str]] = {}
    if document.get("trace_file") is not None:
        given["trace_file"] = [str(document["trace_file"])]
    if "trace_level" in document:
        value = document["trace_level"]
        given["trace_level"] = [] if value is None else [as_string(level) for level in as_array(value)]
        if value is not None and not given["trace_level"]:
            del given["trace_level"]
    for key in FREQUENCY_KEYS:
        if key in document:
            given[key] = [] if document[key] is None else [as_string(document[key])]
    return given
