"""The stock tritonclient package, blocking and asynchronous, against a running server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from support.models import expected_tokens
from support.server import Server
from tritonclient.utils import InferenceServerException

Int32 = npt.NDArray[np.int32]


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url) as client:
        yield client


def pair_inputs(left: Int32, right: Int32) -> list[triton.InferInput]:
    inputs = []
    for name, array in (("INPUT0", left), ("INPUT1", right)):
        tensor = triton.InferInput(name, list(array.shape), "INT32")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def arrays(rows: int, seed: int = 0) -> tuple[Int32, Int32]:
    random = np.random.default_rng(seed)
    left, right = (random.integers(-1000, 1000, (rows, 16), dtype=np.int32) for _ in range(2))
    return left, right


def test_server_and_models_are_live_and_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("pair")
    assert client.is_model_ready("pair", "1")


def test_what_is_unknown_is_not_ready(client: triton.InferenceServerClient) -> None:
    assert not client.is_model_ready("nope")
    assert not client.is_model_ready("pair", "7")


def test_the_server_tells_its_name_and_only_extensions_that_it_has(client: triton.InferenceServerClient) -> None:
    metadata = client.get_server_metadata()
    assert metadata.name == "npuserve"
    assert list(metadata.extensions) == [
        *("classification", "sequence", "model_repository", "model_repository(unload_dependents)", "schedule_policy"),
        *("model_configuration", "system_shared_memory", "binary_tensor_data", "parameters", "statistics"),
        *("trace", "logging"),
    ]


def test_model_metadata_states_full_shapes(client: triton.InferenceServerClient) -> None:
    metadata = client.get_model_metadata("tokens", as_json=True)
    assert metadata["versions"] == ["1"]
    assert metadata["platform"] == "ascend_om"
    assert [(tensor["name"], tensor["datatype"], tensor["shape"]) for tensor in metadata["inputs"]] == [
        ("input_ids", "INT64", ["-1", "-1"]),
        ("attention_mask", "INT64", ["-1", "-1"]),
    ]
    assert metadata["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": ["-1", "-1", "3"]}]


def test_a_model_that_does_not_batch_has_no_batch_dimension(client: triton.InferenceServerClient) -> None:
    assert list(client.get_model_metadata("fixed").inputs[0].shape) == [2, 3]


def test_the_config_is_the_effective_one(client: triton.InferenceServerClient) -> None:
    config = client.get_model_config("pair").config
    assert (config.name, config.backend, config.max_batch_size) == ("pair", "ascend", 8)
    assert [tensor.name for tensor in config.output] == ["OUTPUT0", "OUTPUT1"]


@pytest.mark.parametrize("call", ["get_model_metadata", "get_model_config"])
def test_asking_about_an_unknown_model_is_not_found(client: triton.InferenceServerClient, call: str) -> None:
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nope' is not found") as caught:
        getattr(client, call)("nope")
    assert caught.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("nope", "", "requested model 'nope' is not available"),
        ("pair", "7", "requested model version is not available for model 'pair'"),
    ],
)
def test_statistics_of_what_is_not_there_are_an_invalid_argument(
    client: triton.InferenceServerClient, name: str, version: str, text: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.get_inference_statistics(name, version)
    assert (caught.value.status(), caught.value.message()) == ("StatusCode.INVALID_ARGUMENT", text)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_answers_are_the_models_own(client: triton.InferenceServerClient, rows: int) -> None:
    left, right = arrays(rows)
    result = client.infer("pair", pair_inputs(left, right), request_id="q7")
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), left + right)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - right)
    response = result.get_response()
    assert (response.model_name, response.model_version, response.id) == ("pair", "1", "q7")
    assert not response.parameters


def test_outputs_come_in_the_models_order_whatever_the_request_says(client: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput(name) for name in ("OUTPUT1", "OUTPUT0")]
    response = client.infer("pair", pair_inputs(*arrays(1)), outputs=wanted).get_response()
    assert [output.name for output in response.outputs] == ["OUTPUT0", "OUTPUT1"]


def test_only_the_outputs_that_are_named_are_returned(client: triton.InferenceServerClient) -> None:
    left, right = arrays(2)
    result = client.infer("pair", pair_inputs(left, right), outputs=[triton.InferRequestedOutput("OUTPUT1")])
    assert result.as_numpy("OUTPUT0") is None
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - right)
    assert len(result.get_response().raw_output_contents) == 1


def test_a_model_that_does_not_batch_answers(client: triton.InferenceServerClient) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = triton.InferInput("INPUT0", [2, 3], "FP32")
    tensor.set_data_from_numpy(values)
    np.testing.assert_array_equal(client.infer("fixed", [tensor]).as_numpy("OUTPUT0"), -values)


@pytest.mark.parametrize("length", [1, 5, 8, 13, 16])
def test_a_sequence_shorter_than_its_gear_comes_back_in_its_own_length(
    client: triton.InferenceServerClient, length: int
) -> None:
    ids = np.arange(1, 2 * length + 1, dtype=np.int64).reshape(2, length)
    mask = np.ones_like(ids)
    inputs = []
    for name, array in (("input_ids", ids), ("attention_mask", mask)):
        tensor = triton.InferInput(name, list(array.shape), "INT64")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    np.testing.assert_array_equal(client.infer("tokens", inputs).as_numpy("logits"), expected_tokens(ids, mask))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_read(client: triton.InferenceServerClient, algorithm: str) -> None:
    left, right = arrays(2)
    result = client.infer("pair", pair_inputs(left, right), compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), left + right)


def test_statistics_count_rows_executions_and_requests(client: triton.InferenceServerClient) -> None:
    before = client.get_inference_statistics("fixed").model_stats[0]
    values = np.zeros((2, 3), np.float32)
    tensor = triton.InferInput("INPUT0", [2, 3], "FP32")
    tensor.set_data_from_numpy(values)
    for _ in range(3):
        client.infer("fixed", [tensor])
    after = client.get_inference_statistics("fixed", "1").model_stats[0]
    assert (after.name, after.version) == ("fixed", "1")
    assert after.inference_count - before.inference_count == 3
    assert after.execution_count - before.execution_count == 3
    grown = after.inference_stats
    assert grown.success.count - before.inference_stats.success.count == 3
    assert grown.queue.count == grown.success.count == grown.compute_infer.count
    assert grown.success.ns > before.inference_stats.success.ns
    assert sum(batch.compute_infer.count for batch in after.batch_stats) == after.execution_count
    assert after.last_inference > 0


def test_a_refused_request_is_in_no_counter(client: triton.InferenceServerClient) -> None:
    before = client.get_inference_statistics("pair").model_stats[0].inference_stats
    with pytest.raises(InferenceServerException, match="unexpected inference output"):
        client.infer("pair", pair_inputs(*arrays(1)), outputs=[triton.InferRequestedOutput("NOPE")])
    after = client.get_inference_statistics("pair").model_stats[0].inference_stats
    assert (after.success.count, after.fail.count) == (before.success.count, before.fail.count)


def test_statistics_without_a_name_list_every_model(client: triton.InferenceServerClient, repository: Path) -> None:
    listed = [stats.name for stats in client.get_inference_statistics().model_stats]
    assert listed == sorted(folder.name for folder in repository.iterdir())


async def test_many_concurrent_callers_each_get_their_own_answer(server: Server) -> None:
    async def ask(client: triton_aio.InferenceServerClient, seed: int) -> None:
        left, right = arrays(1 + seed % 8, seed)
        result = await client.infer("pair", pair_inputs(left, right), request_id=str(seed))
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), left + right)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - right)
        assert result.get_response().id == str(seed)

    async with triton_aio.InferenceServerClient(server.url) as client:
        assert await client.is_server_ready()
        assert (await client.get_model_metadata("pair")).name == "pair"
        async with asyncio.TaskGroup() as tasks:
            for seed in range(200):
                tasks.create_task(ask(client, seed))


async def test_the_asynchronous_client_sees_the_same_errors(server: Server) -> None:
    async with triton_aio.InferenceServerClient(server.url) as client:
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nope' is not found"):
            await client.infer("nope", pair_inputs(*arrays(1)))


def test_a_call_that_runs_out_of_time_is_told_so_and_the_next_is_answered(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
        # Its batch waits half a second for company.
        client.infer("waiting", pair_inputs(*arrays(1)), client_timeout=0.05)
    left, right = arrays(1)
    np.testing.assert_array_equal(client.infer("waiting", pair_inputs(left, right)).as_numpy("OUTPUT0"), left + right)
