"""Sends a kept case to a server again."""

import json
from pathlib import Path

import grpc

from npuserve._proto import inference_pb2 as pb
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.shadow.answers import classified, outputs_of
from npuserve.migrate.shadow.compare import Difference, compare_outputs
from npuserve.migrate.shadow.options import ShadowOptions
from npuserve.migrate.shadow.replay import METHOD


def repeat(case: Path, options: ShadowOptions) -> dict[str, Difference]:
    """Send the case's request to the reference; return how the answer differs from the two that were kept.

    Raises MigrationError if there is no such case, or no answer.
    """
    try:
        message = (case / "request.bin").read_bytes()
        kept = {name: (case / f"{name}.bin").read_bytes() for name in ("live", "reference")}
        reason = json.loads((case / "case.json").read_text())["reason"]
        request = pb.ModelInferRequest.FromString(message)
    except (OSError, ValueError, KeyError) as error:
        raise MigrationError(f"{case} is no case of a shadow: {error}") from error
    answer = outputs_of(_answer(message, options))
    if reason == "status":
        raise MigrationError(f"the server at {options.reference} answers; in the case, one server refused the request")
    return {
        name: compare_outputs(answer, outputs_of(other), options.limits, classified(request))
        for name, other in kept.items()
    }


def _answer(message: bytes, options: ShadowOptions) -> bytes:
    with grpc.insecure_channel(options.reference, [("grpc.max_receive_message_length", -1)]) as channel:
        try:
            call = channel.unary_unary(METHOD, bytes, bytes)
            answer: bytes = call(message, timeout=options.timeout_secs, metadata=options.fields)
        except grpc.RpcError as error:
            refusal = f"{error.code().name}: {error.details()}"
            raise MigrationError(f"the server at {options.reference} refused: {refusal}") from error
    return answer
