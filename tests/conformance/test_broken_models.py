"""Models that cannot be served, beside one that is: each is reported precisely, and the server goes on."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from support.infer_requests import infer, pair_request
from support.served_models import PAIR_CONFIG, add_model
from support.server import Server, serving


def om_of(folder: Path) -> Path:
    """The model's OM as a file of its own: it is a link to the one that all share."""
    path = folder / "1" / "model.om"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    return path


def truncate(folder: Path) -> None:
    path = om_of(folder)
    path.write_bytes(path.read_bytes()[:-100])


def make_foreign(folder: Path) -> None:
    """Blank what marks the emulator's own OMs: what is left has the vendor's header, of the right length."""
    path = om_of(folder)
    content = bytearray(path.read_bytes())
    content[120:152] = bytes(32)
    path.write_bytes(content)


def damage(folder: Path) -> None:
    path = om_of(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def configure(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.pbtxt").write_text(text)


@dataclass(frozen=True)
class Case:
    """How a sound model is broken, and what the log says of it then."""

    spoil: Callable[[Path], object]
    said: tuple[str, ...]


CASES = {
    "missing": Case(lambda folder: (folder / "1" / "model.om").unlink(), ("unable to find", "model.om")),
    "empty": Case(lambda folder: om_of(folder).write_bytes(b""), ("145002", "model.om")),
    "truncated": Case(truncate, ("145006", "model.om")),
    "foreign": Case(make_foreign, ("545001", "Recompile")),
    "damaged": Case(damage, ("545002", "model.om")),
    "not_an_om": Case(lambda folder: om_of(folder).write_bytes(struct.pack("<64Q", *range(64))), ("model.om",)),
    "unknown_field": Case(
        configure('backend: "ascend"\nmax_batch_sise: 8\n'), ("config.pbtxt", "line 2", "max_batch_sise")
    ),
    "malformed": Case(
        configure('backend: "ascend"\ninput [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 } ]\n'),
        ("config.pbtxt", "line 2"),
    ),
    "wrong_dtype": Case(
        configure(PAIR_CONFIG.replace("TYPE_INT32", "TYPE_FP32", 1)), ("INPUT0", "TYPE_FP32", "TYPE_INT32")
    ),
    "wrong_dims": Case(configure(PAIR_CONFIG.replace("dims: [ 16 ]", "dims: [ 15 ]", 1)), ("INPUT0", "[-1,15]")),
    "wrong_name": Case(configure(PAIR_CONFIG.replace('"INPUT0"', '"INPUT7"', 1)), ("INPUT7", "INPUT0")),
    "too_large_batch": Case(configure(PAIR_CONFIG.replace("max_batch_size: 8", "max_batch_size: 9")), ("9", "8")),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("broken")
    add_model(folder, "pair")
    for name, case in CASES.items():
        case.spoil(add_model(folder, "pair", name))
    with serving(folder, "--exit-on-error=false") as server:
        yield server


@pytest.mark.parametrize("name", CASES)
def test_the_log_says_what_is_wrong_with_a_broken_model(server: Server, name: str) -> None:
    lines = [line for line in server.lines if (f"'{name}'" in line and "rror" in line) or f"'{name}'" in line]
    assert any(all(word in line for word in CASES[name].said) for line in lines), "".join(lines)


@pytest.mark.parametrize("name", CASES)
def test_a_broken_model_is_not_found_and_the_sound_one_answers(server: Server, name: str) -> None:
    with server.channel() as channel:
        with pytest.raises(grpc.RpcError) as caught:
            infer(channel, pair_request(model_name=name))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert f"Request for unknown model: '{name}'" in str(caught.value.details())
        assert infer(channel, pair_request(id="sound")).id == "sound"
