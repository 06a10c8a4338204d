"""The native front end and the reference one give the same headers, bodies and trailers to calls made by hand."""

import re

import pytest
from support.frame_corpus import FRAME_CORPUS, FrameCase
from support.h2_client import Answer, Header
from support.h2_socket import H2Socket
from support.server import Server


def answered(server: Server, case: FrameCase) -> Answer:
    with H2Socket(server.url) as connection:
        client = connection.client
        stream_id = client.start(case.path, *case.headers, end=not case.body, **dict(case.replaced))
        if case.body:
            client.send(stream_id, case.body, end=True)
        return connection.answer(stream_id)


def told(headers: list[Header]) -> list[Header]:
    """What headers tell of an answer, sorted.

    An empty message is as none. The encodings are about later requests. Which use of zlib failed is grpc-core's matter.
    """
    told = [(name, value) for name, value in headers if value and name != "grpc-accept-encoding"]
    return sorted((name, re.sub("(Decompression failed) due to .*", r"\1", value)) for name, value in told)


@pytest.mark.parametrize("name", FRAME_CORPUS)
def test_the_same_frames_are_answered(both: dict[str, Server], name: str) -> None:
    reference = answered(both["grpcio"], FRAME_CORPUS[name])
    assert (reference.status[0], reference.reset) == (FRAME_CORPUS[name].status, None)
    native = answered(both["native"], FRAME_CORPUS[name])
    assert told(native.headers) == told(reference.headers)
    assert native.messages == reference.messages
    assert told(native.trailers) == told(reference.trailers)
    assert (native.ended, native.reset) == (reference.ended, reference.reset)
