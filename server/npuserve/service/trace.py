"""TraceSetting: reads and changes which requests are traced, of all models or of one."""

from collections.abc import Mapping, Sequence

from npuserve._proto import inference_pb2 as pb
from npuserve.core.errors import ServeError, invalid
from npuserve.core.status import StatusCode
from npuserve.observability.tracing import FREQUENCY_KEYS, TraceSettings
from npuserve.repository.registry import ModelRegistry
from npuserve.service.call import Call


class TraceService:
    """Answers for the trace settings of a server."""

    def __init__(self, registry: ModelRegistry, settings: TraceSettings) -> None:
        self._registry = registry
        self._settings = settings

    async def trace_setting(self, request: pb.TraceSettingRequest, call: Call) -> pb.TraceSettingResponse:
        """Change what the request names and return what is in force. Raises ServeError."""
        self.update(request.model_name, {key: list(setting.value) for key, setting in request.settings.items()})
        response = pb.TraceSettingResponse()
        for key, values in self._settings.described(request.model_name).items():
            response.settings[key].value.extend(values)
        return response

    def update(self, model: str, given: Mapping[str, Sequence[str]]) -> None:
        """Change settings of a model, or of all that have none of their own if it is ""; unknown ones are ignored.

        An empty list takes the model's own setting back, or all models' to that of the start.
        Raises ServeError: INVALID_ARGUMENT, UNIMPLEMENTED (the file).
        """
        if model and not any(entry.name == model for entry in self._registry.index()):
            raise invalid(f"Request for unknown model : {model}")
        if "trace_file" in given:
            raise ServeError(
                StatusCode.UNIMPLEMENTED, "trace file location can not be updated through network protocol"
            )
        for key in FREQUENCY_KEYS:
            if len(given.get(key, ())) > 1:
                raise invalid(f"expect only 1 value for '{key}'")
        self._settings.change(model, given)
