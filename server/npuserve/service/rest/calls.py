"""Calls the server's gRPC handlers for HTTP: what both protocols offer is answered in one place."""

from typing import Any

from npuserve.service.call import Call
from npuserve.service.methods import MethodTable, UnaryMethod
from npuserve.service.rest.exchange import HttpRequest

_SERVICE = "/inference.GRPCInferenceService/"


class RpcCalls:
    """The unary methods of a table, by name."""

    def __init__(self, methods: MethodTable) -> None:
        self._methods = methods

    async def call(self, name: str, http: HttpRequest, /, **fields: object) -> Any:
        """Call a method with a request of these fields and return its response. Raises ServeError."""
        method = self._methods[_SERVICE + name]
        assert isinstance(method, UnaryMethod)
        return await method.handler(method.request(**fields), Call(peer=http.peer))
