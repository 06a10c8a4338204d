"""The model repository over HTTP: index, load, unload."""

import base64
import binascii

from npuserve._proto.inference_pb2 import ModelRepositoryParameter
from npuserve.core.errors import ServeError, invalid
from npuserve.service.rest.answers import EMPTY, json_response
from npuserve.service.rest.calls import RpcCalls
from npuserve.service.rest.exchange import HttpRequest, HttpResponse
from npuserve.service.rest.json_text import parse_json
from npuserve.service.rest.members import as_boolean, as_string, find, internal, members


class RepositoryHandlers:
    """Answers for the repositories. A name of one is taken and refused, except by the index, which ignores it."""

    def __init__(self, calls: RpcCalls) -> None:
        self._calls = calls

    async def index(self, http: HttpRequest) -> HttpResponse:
        """Return what the repositories hold, or what is ready of it. Raises ServeError."""
        ready = find(parse_json(http.body), "ready") if http.body else None
        response = await self._calls.call("RepositoryIndex", http, ready=False if ready is None else as_boolean(ready))
        return json_response(
            [
                {"name": entry.name}
                | {key: value for key in ("version", "state", "reason") if (value := getattr(entry, key))}
                for entry in response.models
            ]
        )

    async def load(self, http: HttpRequest, repository: str, model: str) -> HttpResponse:
        """Load a model; answers when it is ready. Raises ServeError."""
        given = find(parse_json(http.body), "parameters") if http.body else None
        parameters = (
            {} if given is None else {key: _load_parameter(key, value) for key, value in members(given).items()}
        )
        await self._calls.call(
            "RepositoryModelLoad", http, repository_name=repository, model_name=model, parameters=parameters
        )
        return EMPTY

    async def unload(self, http: HttpRequest, repository: str, model: str) -> HttpResponse:
        """Unload a model. Raises ServeError."""
        await self._calls.call(
            "RepositoryModelUnload",
            http,
            repository_name=repository,
            model_name=model,
            parameters=_unload_parameters(http.body),
        )
        return EMPTY


def _load_parameter(key: str, value: object) -> ModelRepositoryParameter:
    text = as_string(value)
    if key == "config":
        return ModelRepositoryParameter(string_param=text)
    if not key.startswith("file:"):
        raise internal("unexpected error on creating Triton parameter")
    try:
        # Clients may leave the padding out.
        content = base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise invalid(f"the value of load parameter '{key}' is not base64") from error
    return ModelRepositoryParameter(bytes_param=content)


def _unload_parameters(body: bytes) -> dict[str, ModelRepositoryParameter]:
    """Return the one parameter that is known. As Triton, unload whatever else the body says."""
    try:
        value = find(find(parse_json(body), "parameters"), "unload_dependents")
    except ServeError:
        return {}
    return {"unload_dependents": ModelRepositoryParameter(bool_param=value)} if isinstance(value, bool) else {}
