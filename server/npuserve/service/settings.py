"""LogSettings: reads and changes which log lines are written."""

from dataclasses import replace

from npuserve._proto import inference_pb2 as pb
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.observability.logging import LogOptions, LogSettings
from npuserve.service.call import Call

# `json` is ours; Triton has the other two.
FORMATS = ("default", "ISO8601", "json")
# The protocol's names of the options that are on or off.
SWITCHES = {"log_info": "info", "log_warning": "warning", "log_error": "error"}


def log_file_fixed() -> ServeError:
    """Return the refusal to write another file."""
    return ServeError(StatusCode.UNIMPLEMENTED, "log file location can not be updated through network protocol")


def log_settings(options: LogOptions) -> dict[str, bool | int | str]:
    """Return options under the protocol's names, in Triton's order."""
    return {
        "log_file": options.file,
        **{setting: getattr(options, name) for setting, name in SWITCHES.items()},
        "log_verbose_level": options.verbose,
        "log_format": options.format,
    }


class LogSettingsService:
    """Answers for the log of this process."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    async def log_settings(self, request: pb.LogSettingsRequest, call: Call) -> pb.LogSettingsResponse:
        """Change what the request names, all of it or nothing, and return what is in force. Raises ServeError."""
        if request.settings:
            self._settings.change(_changed(self._settings.options, request))
        response = pb.LogSettingsResponse()
        for key, value in log_settings(self._settings.options).items():
            setting = response.settings[key]
            match value:
                case bool():
                    setting.bool_param = value
                case int():
                    setting.uint32_param = value
                case str():
                    setting.string_param = value
        return response


def _changed(options: LogOptions, request: pb.LogSettingsRequest) -> LogOptions:
    settings = request.settings
    if "log_file" in settings:
        raise log_file_fixed()
    for setting, name in SWITCHES.items():
        if setting in settings:
            _require_kind(request, setting, "bool_param", "boolean")
            options = replace(options, **{name: settings[setting].bool_param})  # type: ignore[arg-type]  # all are booleans
    if "log_verbose_level" in settings:
        _require_kind(request, "log_verbose_level", "uint32_param", "int32")
        options = replace(options, verbose=settings["log_verbose_level"].uint32_param)
    if "log_format" in settings:
        _require_kind(request, "log_format", "string_param", "string")
        wanted = settings["log_format"].string_param
        if wanted not in FORMATS:
            raise invalid(f"invalid argument for log_format, got: {wanted}")
        options = replace(options, format=wanted)
    return options


def _require_kind(request: pb.LogSettingsRequest, setting: str, kind: str, noun: str) -> None:
    if request.settings[setting].WhichOneof("parameter_choice") != kind:
        raise invalid(f"expect {noun} for '{setting}'")
