"""What a model on a server takes, asked of the server over the protocol that is to be loaded."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

import grpc

from npuserve._proto import inference_pb2
from npuserve.core.dtype import Dtype
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.load.options import Protocol

SERVICE = "/inference.GRPCInferenceService/"
ASK_SECONDS = 10.0

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Input:
    """One input. shape: with the batch axis, if the model has one; -1: any size. is_optional: it may be left out."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class ModelInterface:
    """What the model takes. batches: the first axis of every input is the batch's."""

    name: str
    inputs: tuple[Input, ...]
    batches: bool
    is_decoupled: bool

    def input(self, name: str) -> Input:
        """Return an input. Raises MigrationError."""
        for each in self.inputs:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.inputs)
        raise MigrationError(f"model '{self.name}' has no input '{name}', only {known}")


def describe(
    url: str, model: str, *, version: str = "", protocol: Protocol = "grpc", fields: Fields = ()
) -> ModelInterface:
    """Ask the server for a model's inputs. Raises MigrationError."""
    address_of(url)
    if protocol == "http":
        path = http_path(model, version)
        metadata = _get(url, path, fields)
        config = _get(url, f"{path}/config", fields)
    else:
        metadata, config = _ask_grpc(url, model, version, fields)
    return _interface(model, metadata, config)


def address_of(url: str) -> tuple[str, int]:
    """Return the numeric address and the port of `HOST:PORT`. Raises MigrationError."""
    host, _, port = url.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise MigrationError(f"expected the server as HOST:PORT, got '{url}'")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise MigrationError(f"the host of {url} is not known: {error.strerror or error}") from error
    # IPv4 first, where a server that listens on all IPv4 addresses alone is found under `localhost`, too.
    address = min(found, key=lambda each: each[0] != socket.AF_INET)[4]
    return str(address[0]), int(port)


def http_path(model: str, version: str) -> str:
    """Return the model's path."""
    return f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")


def grpc_fields(fields: Fields) -> Fields:
    """Return fields of a head as gRPC wants them."""
    return tuple((name.lower(), value) for name, value in fields)


def refused(error: grpc.RpcError, url: str) -> MigrationError:
    """Return a failed call as one sentence."""
    code, details = error.code(), error.details() or "no reason given"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED) and "ailed to connect" in details:
        return MigrationError(f"the server at {url} cannot be reached")
    return MigrationError(f"the server at {url} refused: {code.name}: {details}")


def _ask_grpc(url: str, model: str, version: str, fields: Fields) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    sent = grpc_fields(fields)
    with grpc.insecure_channel(url, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            metadata = channel.unary_unary(
                f"{SERVICE}ModelMetadata",
                inference_pb2.ModelMetadataRequest.SerializeToString,
                inference_pb2.ModelMetadataResponse.FromString,
            )(inference_pb2.ModelMetadataRequest(name=model, version=version), metadata=sent, timeout=ASK_SECONDS)
            config = channel.unary_unary(
                f"{SERVICE}ModelConfig",
                inference_pb2.ModelConfigRequest.SerializeToString,
                inference_pb2.ModelConfigResponse.FromString,
            )(inference_pb2.ModelConfigRequest(name=model, version=version), metadata=sent, timeout=ASK_SECONDS).config
        except grpc.RpcError as error:
            raise refused(error, url) from error
    inputs = [{"name": each.name, "datatype": each.datatype, "shape": list(each.shape)} for each in metadata.inputs]
    policy = {"decoupled": config.model_transaction_policy.decoupled}
    optional = [{"name": each.name, "optional": each.optional} for each in config.input]
    settings = {"max_batch_size": config.max_batch_size, "model_transaction_policy": policy, "input": optional}
    return {"inputs": inputs}, settings


def _get(url: str, path: str, fields: Fields) -> Mapping[str, Any]:
    request = urllib.request.Request(f"http://{url}{path}", headers=dict(fields))
    try:
        with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:
            body: Mapping[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise MigrationError(f"the server at {url} refused: HTTP {error.code}: {http_error(error.read())}") from error
    except HTTPException as error:
        raise MigrationError(f"the server at {url} does not speak HTTP/1.1") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise MigrationError(f"the server at {url} cannot be reached: {reason}") from error
    except ValueError as error:
        raise MigrationError(f"{url} is no inference server: its answer to {path} is not JSON") from error
    return body


def http_error(body: bytes) -> str:
    """Return what the body of a refusal says."""
    text = body.decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text or "no reason given"


def _interface(model: str, metadata: Mapping[str, Any], config: Mapping[str, Any]) -> ModelInterface:
    policy = config.get("model_transaction_policy") or {}
    inputs: Sequence[Mapping[str, Any]] = metadata.get("inputs", ())
    optional = {each.get("name") for each in config.get("input", ()) if each.get("optional")}
    try:
        return ModelInterface(
            model,
            tuple(
                Input(
                    each["name"],
                    Dtype(each["datatype"]),
                    tuple(int(size) for size in each["shape"]),
                    each["name"] in optional,
                )
                for each in inputs
            ),
            int(config.get("max_batch_size", 0)) > 0,
            bool(policy.get("decoupled", False)),
        )
    except (KeyError, ValueError) as error:
        raise MigrationError(
            f"the server describes model '{model}' in a way that is not understood: {error}"
        ) from error
