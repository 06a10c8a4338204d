"""One request before the load, so that what the server refuses is told at once, and in its own words."""

import http.client

import grpc

from npuserve._proto import inference_pb2
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.interface import SERVICE, grpc_fields, http_error, refused
from npuserve.migrate.load.options import LoadOptions

_SECONDS = 60.0
_PREFIX_BYTES = 5


def send_first(options: LoadOptions, request: bytes) -> None:
    """Send one prepared request. Raises MigrationError if it is not answered well."""
    if options.protocol == "http":
        _send_http(options, request)
    else:
        _send_grpc(options, request[_PREFIX_BYTES:])


def _send_grpc(options: LoadOptions, message: bytes) -> None:
    fields = grpc_fields(options.fields)
    settings = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(options.url, settings) as channel:
        try:
            if options.protocol == "grpc":
                call = channel.unary_unary(f"{SERVICE}ModelInfer", bytes, bytes)
                call(message, metadata=fields, timeout=_SECONDS)
                return
            read = inference_pb2.ModelStreamInferResponse.FromString
            stream = channel.stream_stream(f"{SERVICE}ModelStreamInfer", bytes, read)
            answers = list(stream(iter([message]), metadata=fields, timeout=_SECONDS))
        except grpc.RpcError as error:
            raise refused(error, options.url) from error
    if not answers or answers[0].error_message:
        why = answers[0].error_message if answers else "no answer"
        raise MigrationError(f"the server at {options.url} refused: {why}")


def _send_http(options: LoadOptions, request: bytes) -> None:
    host, _, port = options.url.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=_SECONDS)
    try:
        connection.connect()
        connection.sock.sendall(request)
        answer = http.client.HTTPResponse(connection.sock, method="POST")
        answer.begin()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise MigrationError(f"the server at {options.url} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise MigrationError(f"the server at {options.url} refused: HTTP {answer.status}: {http_error(body)}")
