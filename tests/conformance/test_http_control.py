"""Models are loaded and unloaded over HTTP, by the stock client; a key keeps others from it."""

import json
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from support.served_models import add_identity_model, copy_config
from support.server import serving
from tritonclient.utils import InferenceServerException

CONFIG = {
    "backend": "identity",
    "max_batch_size": 5,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [3]}],
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        add_identity_model(tmp_path, name, copy_config("FP32", 3, rest="max_batch_size: 2"))
    return tmp_path


def test_a_model_is_loaded_changed_and_unloaded(repository: Path) -> None:
    flags = ("--model-control-mode=explicit", "--load-model=first")
    with serving(repository, *flags) as server, triton.InferenceServerClient(server.http_url) as client:
        assert not client.is_model_ready("second")
        client.load_model("second")
        assert client.is_model_ready("second")
        client.load_model("second", config=json.dumps(CONFIG))
        assert client.get_model_config("second")["max_batch_size"] == 5
        client.load_model("fresh", config=json.dumps(CONFIG), files={"file:7/notes": b"\0any\xff"})
        assert client.is_model_ready("fresh", "7")
        client.unload_model("second")
        assert not client.is_model_ready("second")
        with pytest.raises(
            InferenceServerException, match="failed to load 'nope', failed to poll from model repository"
        ):
            client.load_model("nope")
        index = {entry["name"]: entry.get("state") for entry in client.get_model_repository_index()}
        assert index["first"] == "READY"


def test_restricted_calls_need_the_key_and_others_do_not(repository: Path) -> None:
    flags = ("--model-control-mode=explicit", "--http-restricted-api=model-repository,inference:admin-key=secret")
    with serving(repository, *flags) as server, triton.InferenceServerClient(server.http_url) as client:
        refusal = "This API is restricted, expecting header 'admin-key'"
        with pytest.raises(InferenceServerException, match=refusal) as raised:
            client.load_model("first")
        assert raised.value.status() == "403"
        client.load_model("first", headers={"admin-key": "secret"})
        assert client.is_model_ready("first")
        tensor = triton.InferInput("x", [1, 3], "FP32")
        tensor.set_data_from_numpy(np.ones((1, 3), np.float32))
        with pytest.raises(InferenceServerException, match=refusal):
            client.infer("first", [tensor])
        assert client.infer("first", [tensor], headers={"admin-key": "secret"}).as_numpy("y").tolist() == [[1, 1, 1]]
