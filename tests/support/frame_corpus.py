"""Calls that no stock client makes, as header lists and bodies, under their names.

What is not here, as the native front end keeps to a text that grpc-core does not keep to: any content type and none is
served there (PROTOCOL-HTTP2 asks for 415); an unknown encoding is INTERNAL there (grpc's compression.md asks for
UNIMPLEMENTED and a list of what is accepted); requests that RFC 9113 calls malformed, by a path without a slash,
another value of `te`, upper case, control characters or a wrong length, are answered there (nghttp2 resets their h2
streams). A unary call without a whole message is never answered there at all.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from support.h2_client import Header, framed
from support.infer_requests import pair_request

SERVICE = "/inference.GRPCInferenceService/"
INFER = SERVICE + "ModelInfer"
LIVE = SERVICE + "ServerLive"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
MESSAGE = pair_request(id="frames").SerializeToString()
LIST_SERVICES = b"\x3a\x00"


@dataclass(frozen=True, kw_only=True)
class FrameCase:
    """A call's headers beside the usual ones, its whole body, and the grpc-status that must come."""

    status: int
    path: str = INFER
    body: bytes = framed(MESSAGE)
    headers: tuple[Header, ...] = ()
    replaced: tuple[Header, ...] = ()


def _encoded(encoding: str | None, payload: bytes, status: int, *, compressed: bool = True) -> FrameCase:
    headers = () if encoding is None else (("grpc-encoding", encoding),)
    return FrameCase(status=status, body=framed(payload, compressed=compressed), headers=headers)


def _encodings() -> Iterator[tuple[str, FrameCase]]:
    whole = gzip.compress(MESSAGE)
    yield "gzip named and not used", _encoded("gzip", MESSAGE, 0, compressed=False)
    yield "gzip", _encoded("gzip", whole, 0)
    yield "deflate", _encoded("deflate", zlib.compress(MESSAGE), 0)
    yield "identity named", _encoded("identity", MESSAGE, 0, compressed=False)
    yield "compressed with identity", _encoded("identity", MESSAGE, 13)
    yield "compressed without an encoding", _encoded(None, MESSAGE, 13)
    yield "gzip of nonsense", _encoded("gzip", b"nonsense", 13)
    yield "gzip, cut", _encoded("gzip", whole[:-9], 13)
    yield "gzip with bytes behind it", _encoded("gzip", whole + b"xx", 13)
    yield "gzip of two members", _encoded("gzip", gzip.compress(MESSAGE[:20]) + gzip.compress(MESSAGE[20:]), 13)
    yield "gzip with a wrong checksum", _encoded("gzip", whole[:-8] + bytes(4) + whole[-4:], 13)
    yield "deflate without zlib's header", _encoded("deflate", zlib.compress(MESSAGE)[2:-4], 13)
    yield "gzip called deflate", _encoded("deflate", whole, 13)
    yield (
        "an empty message, compressed",
        FrameCase(status=0, path=LIVE, body=framed(b"", compressed=True), headers=(("grpc-encoding", "gzip"),)),
    )


def _headers() -> Iterator[tuple[str, FrameCase]]:
    for timeout, status in (("99999999H", 0), ("20S", 0), ("5000000u", 0), ("0m", 4), ("abc", 13), ("", 13)):
        yield f"timeout {timeout!r}", FrameCase(status=status, headers=(("grpc-timeout", timeout),))
    yield "content type +proto", FrameCase(status=0, replaced=(("content_type", "application/grpc+proto"),))
    yield "content type with parameters", FrameCase(status=0, replaced=(("content_type", "application/grpc;a=b"),))
    yield "scheme https", FrameCase(status=0, replaced=(("scheme", "https"),))
    for value in ("!!!", "YQ,Yg==", "Y"):
        yield f"binary metadata {value}", FrameCase(status=13, headers=(("x-bin", value),))
    for value in ("YQ", "YQ=", "YQ==", ""):
        yield f"binary metadata '{value}'", FrameCase(status=0, headers=(("x-bin", value),))
    yield "a key of gRPC's own", FrameCase(status=0, headers=(("grpc-foo", "v"),))
    yield "all encodings accepted", FrameCase(status=0, headers=(("grpc-accept-encoding", "identity, deflate, gzip"),))
    for path in ("/", INFER + "?x=1", INFER + "/", "/" + INFER, INFER.lower()):
        yield f"path '{path}'", FrameCase(status=12, path=path)


def _bodies() -> Iterator[tuple[str, FrameCase]]:
    yield "a plain call", FrameCase(status=0)
    yield (
        "a refusal in unicode",
        FrameCase(status=5, body=framed(pair_request(model_name="é%\n\x7f~ ü").SerializeToString())),
    )
    yield "bytes behind the message", FrameCase(status=0, body=framed(MESSAGE) + bytes(2))
    for path in (INFER, LIVE, REFLECTION):
        yield f"4 GiB announced to {path}", FrameCase(status=8, path=path, body=b"\0\xff\xff\xff\xff")
    yield "a stream without a message", FrameCase(status=0, path=REFLECTION, body=b"")
    yield "a stream's second message cut", FrameCase(status=0, path=REFLECTION, body=framed(LIST_SERVICES) + bytes(2))
    yield "an unknown path and no message", FrameCase(status=12, path="/a/b", body=b"")


FRAME_CORPUS: dict[str, FrameCase] = {
    name: case for family in (_encodings, _headers, _bodies) for name, case in family()
}
