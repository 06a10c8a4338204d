"""Server reflection, v1 and v1alpha: a generic client learns services and messages from the server.

Both versions carry the same messages under two package names (grpc/reflection/v1/reflection.proto).
"""

from collections.abc import AsyncIterator, Sequence
from types import ModuleType
from typing import Any

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from npuserve.core.status import StatusCode
from npuserve.service.call import Call


class ReflectionService:
    """Answers from a descriptor pool.

    messages: the generated module of one version of the protocol. services: full names, as `list_services` tells them.
    """

    def __init__(self, messages: ModuleType, pool: DescriptorPool, services: Sequence[str]) -> None:
        self._messages = messages
        self._pool = pool
        self._services = tuple(services)

    async def server_reflection_info(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Message]:
        """Answer each request of the stream, in order; what is not found is an error in the answer."""
        async for request in requests:
            yield self._answer(request)

    def _answer(self, request: Any) -> Message:
        response = self._messages.ServerReflectionResponse(valid_host=request.host, original_request=request)
        kind = request.WhichOneof("message_request")
        try:
            match kind:
                case "list_services":
                    names = [self._messages.ServiceResponse(name=name) for name in self._services]
                    response.list_services_response.service.extend(names)
                case "file_by_filename":
                    self._add_files(response, self._pool.FindFileByName(request.file_by_filename))
                case "file_containing_symbol":
                    self._add_files(response, self._file_of(request.file_containing_symbol))
                case "file_containing_extension":
                    of = self._pool.FindMessageTypeByName(request.file_containing_extension.containing_type)
                    number = request.file_containing_extension.extension_number
                    self._add_files(response, self._extension_file(of, number))
                case "all_extension_numbers_of_type":
                    of = self._pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                    numbers = response.all_extension_numbers_response
                    numbers.base_type_name = of.full_name
                    numbers.extension_number.extend(sorted(field.number for field in self._pool.FindAllExtensions(of)))
                case _:
                    _fail(response, StatusCode.INVALID_ARGUMENT, "message_request must be set")
        except KeyError:
            _fail(response, StatusCode.NOT_FOUND, f"{getattr(request, kind)} is not known to this server".strip())
        assert isinstance(response, Message)
        return response

    def _file_of(self, symbol: str) -> FileDescriptor:
        """Return the file that declares a symbol; the pool itself does not find methods. Raises KeyError."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return self._pool.FindServiceByName(service).methods_by_name[method].containing_service.file

    def _extension_file(self, of: Descriptor, number: int) -> FileDescriptor:
        extension: Any = self._pool.FindExtensionByNumber(of, number)
        assert isinstance(extension.file, FileDescriptor)
        return extension.file

    @staticmethod
    def _add_files(response: Any, file: FileDescriptor) -> None:
        """Add the file and all it imports, each once."""
        found: dict[str, FileDescriptor] = {}
        waiting = [file]
        while waiting:
            current = waiting.pop()
            if current.name not in found:
                found[current.name] = current
                waiting.extend(current.dependencies)
        response.file_descriptor_response.file_descriptor_proto.extend(
            current.serialized_pb for current in found.values()
        )


def _fail(response: Any, status: StatusCode, message: str) -> None:
    response.error_response.error_code = int(status)
    response.error_response.error_message = message
