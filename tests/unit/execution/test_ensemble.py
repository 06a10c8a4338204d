"""Ensembles over models that run: identity models of the native engine, and functions where a model must misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.request import InferenceRequest, ParameterValue
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.ensemble import EnsembleBackend, EnsembleExecutor
from npuserve.execution.identity import IdentityBackend
from support.ensembles import Models, Wiring, ensemble, model, parse

CHAIN: list[Wiring] = [("copy", {"IN": "I"}, {"OUT": "T"}), ("copy", {"IN": "T"}, {"OUT": "O"})]
DECOUPLED = "model_transaction_policy { decoupled: true }"
NO_PATH = Path()


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    """An identity model `copy`, run by the native engine."""
    backend = IdentityBackend()
    config = model("copy", dims="3", extra="instance_group { count: 1 kind: KIND_CPU }")
    signature = await backend.describe(NO_PATH, config)
    executor = await backend.load(NO_PATH, config, signature)
    models = Models()
    models.add(model("copy"), executor)
    yield models
    await executor.close()
    await backend.close()


async def load(models: Models, text: str) -> tuple[EnsembleExecutor, ModelConfig]:
    config = parse(text)
    backend = EnsembleBackend(models)
    return await backend.load(NO_PATH, config, await backend.describe(NO_PATH, config)), config


def rows(count: int, start: int = 0) -> Tensor:
    values = np.arange(start, start + 3 * count, dtype=np.float32).tobytes()
    return Tensor("I", Dtype.FP32, (count, 3), memoryview(values))


def plus(amount: float) -> Callable[[InferenceRequest], list[list[Tensor]]]:
    """A model that adds to its input."""

    def answer(request: InferenceRequest) -> list[list[Tensor]]:
        (tensor,) = request.inputs
        values = np.frombuffer(tensor.data, np.float32) + np.float32(amount)
        return [[Tensor("OUT", Dtype.FP32, tensor.shape, values.tobytes())]]

    return answer


def adds(request: InferenceRequest) -> list[list[Tensor]]:
    values = sum(np.frombuffer(tensor.data, np.float32) for tensor in request.inputs)
    return [[Tensor("OUT", Dtype.FP32, request.inputs[0].shape, np.asarray(values, np.float32).tobytes())]]


def numbers(result: ExecuteResult, index: int = 0) -> list[float]:
    return [float(value) for value in np.frombuffer(result.outputs[index].data, np.float32)]


async def test_a_chain_answers_what_its_steps_do(models: Models) -> None:
    executor, config = await load(models, ensemble(CHAIN))
    result = await executor.execute(ExecuteRequest(inputs=[rows(2)], rows=2))
    assert [(each.name, each.dtype, each.shape) for each in result.outputs] == [("O", Dtype.FP32, (2, 3))]
    assert numbers(result) == [0, 1, 2, 3, 4, 5]
    assert not config.model_transaction_policy.decoupled
    assert executor.signature.gears == () and executor.signature.inputs[0].shape == (-1, -1)


async def test_a_tensor_reaches_the_next_step_as_the_memory_that_it_is(models: Models) -> None:
    executor, _ = await load(models, ensemble(CHAIN))
    given = rows(1)
    await executor.execute(ExecuteRequest(inputs=[given]))
    assert models.calls[0].inputs[0].data is given.data
    assert isinstance(models.calls[1].inputs[0].data, memoryview)


async def test_steps_that_do_not_wait_for_each_other_run_together(models: Models) -> None:
    for name in ("left", "right"):
        models.add(model(name), plus(1))
        models.gates[name] = asyncio.Event()
    models.add(model("adds", inputs=["A", "B"]), adds)
    steps: list[Wiring] = [
        ("adds", {"A": "L", "B": "R"}, {"OUT": "O"}),
        ("left", {"IN": "I"}, {"OUT": "L"}),
        ("right", {"IN": "I"}, {"OUT": "R"}),
    ]
    executor, _ = await load(models, ensemble(steps))
    running = asyncio.ensure_future(executor.execute(ExecuteRequest(inputs=[rows(1)])))
    async with asyncio.timeout(20):
        await models.entered["left"].wait()
        await models.entered["right"].wait()
    assert not models.entered["adds"].is_set()
    models.gates["right"].set()
    models.gates["left"].set()
    assert numbers(await running) == [2, 4, 6]


async def test_a_step_starts_though_another_still_runs(models: Models) -> None:
    models.add(model("slow"), plus(1))
    models.add(model("quick"), plus(2))
    models.add(model("next"), plus(3))
    models.add(model("adds", inputs=["A", "B"]), adds)
    models.gates["slow"] = asyncio.Event()
    steps: list[Wiring] = [
        ("slow", {"IN": "I"}, {"OUT": "S"}),
        ("quick", {"IN": "I"}, {"OUT": "Q"}),
        ("next", {"IN": "Q"}, {"OUT": "N"}),
        ("adds", {"A": "S", "B": "N"}, {"OUT": "O"}),
    ]
    executor, _ = await load(models, ensemble(steps))
    running = asyncio.ensure_future(executor.execute(ExecuteRequest(inputs=[rows(1)])))
    async with asyncio.timeout(20):
        await models.entered["next"].wait()
    models.gates["slow"].set()
    assert numbers(await running) == [6, 8, 10]


async def test_a_failing_step_fails_the_request_with_its_code_and_ends_what_runs(models: Models) -> None:
    def refuse(request: InferenceRequest) -> list[list[Tensor]]:
        raise ServeError(StatusCode.UNAVAILABLE, "no such luck")

    models.add(model("refuses"), refuse)
    models.add(model("stuck"), plus(1))
    models.gates["stuck"] = asyncio.Event()
    models.gates["refuses"] = asyncio.Event()
    models.add(model("adds", inputs=["A", "B"]), adds)
    steps: list[Wiring] = [
        ("refuses", {"IN": "I"}, {"OUT": "S"}),
        ("stuck", {"IN": "I"}, {"OUT": "Q"}),
        ("adds", {"A": "S", "B": "Q"}, {"OUT": "O"}),
    ]
    executor, _ = await load(models, ensemble(steps))
    running = asyncio.ensure_future(executor.execute(ExecuteRequest(inputs=[rows(1)])))
    async with asyncio.timeout(20):
        await models.entered["stuck"].wait()
    models.gates["refuses"].set()
    with pytest.raises(ServeError) as caught:
        await running
    assert (caught.value.status, caught.value.message) == (StatusCode.UNAVAILABLE, "in ensemble 'm', no such luck")
    assert models.cancelled == ["stuck"]
    assert not models.entered["adds"].is_set()
    counted = executor.statistics()
    assert (counted.fail.count, counted.failures.other, counted.success.count) == (1, 1, 0)
    assert counted.execution_count == 0


async def test_cancelling_a_request_cancels_the_step_that_runs_and_starts_no_other(models: Models) -> None:
    models.add(model("stuck"), plus(1))
    models.add(model("after"), plus(1))
    models.gates["stuck"] = asyncio.Event()
    steps: list[Wiring] = [("stuck", {"IN": "I"}, {"OUT": "T"}), ("after", {"IN": "T"}, {"OUT": "O"})]
    executor, _ = await load(models, ensemble(steps))
    running = asyncio.ensure_future(executor.execute(ExecuteRequest(inputs=[rows(1)])))
    async with asyncio.timeout(20):
        await models.entered["stuck"].wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert models.cancelled == ["stuck"] and not models.entered["after"].is_set()
    counted = executor.statistics()
    assert (counted.fail.count, counted.failures.cancelled) == (1, 1)


async def test_only_the_steps_that_the_asked_outputs_need_run(models: Models) -> None:
    models.add(model("other"), plus(5))
    steps: list[Wiring] = [*CHAIN, ("other", {"IN": "T"}, {"OUT": "P"})]
    executor, _ = await load(models, ensemble(steps, outputs=["O", "P"]))
    result = await executor.execute(ExecuteRequest(inputs=[rows(1)], outputs=("P",)))
    assert [each.name for each in result.outputs] == ["P"]
    assert [call.model for call in models.calls] == ["copy", "other"]
    both = await executor.execute(ExecuteRequest(inputs=[rows(1)]))
    assert [each.name for each in both.outputs] == ["P", "O"]


async def test_an_input_may_go_straight_to_an_output(models: Models) -> None:
    steps: list[Wiring] = [("copy", {"IN": "I"}, {"OUT": "O"})]
    executor, _ = await load(models, ensemble(steps, outputs=["O", "I"]))
    result = await executor.execute(ExecuteRequest(inputs=[rows(1, 7)]))
    assert (numbers(result, 0), numbers(result, 1)) == ([7, 8, 9], [7, 8, 9])


async def test_steps_get_the_requests_id_parameters_and_deadline_and_the_response_tells_its_sequence(
    models: Models,
) -> None:
    executor, _ = await load(models, ensemble(CHAIN))
    parameters: dict[str, ParameterValue] = {"sequence_id": 7, "sequence_start": True, "mine": "x"}
    result = await executor.execute(ExecuteRequest(inputs=[rows(1)], id="me", parameters=parameters, deadline=1e12))
    assert result.parameters == {"sequence_id": 7, "sequence_start": True, "sequence_end": False}
    assert [(call.id, call.parameters, call.deadline) for call in models.calls] == [("me", parameters, 1e12)] * 2
    plain = await executor.execute(ExecuteRequest(inputs=[rows(1)]))
    assert plain.parameters == {"sequence_id": 0, "sequence_start": False, "sequence_end": False}


async def test_a_destination_goes_to_the_step_that_writes_the_output(models: Models) -> None:
    executor, _ = await load(models, ensemble(CHAIN))
    place = memoryview(bytearray(12))
    await executor.execute(ExecuteRequest(inputs=[rows(1)], destinations={"O": place}))
    assert [call.outputs[0].destination for call in models.calls] == [None, place]


async def test_an_optional_input_that_was_left_out_is_left_out_of_the_steps(models: Models) -> None:
    config = model("adds", inputs=["A", "B"])
    config.input[1].optional = True
    models.add(config, adds)
    text = ensemble([("adds", {"A": "I", "B": "J"}, {"OUT": "O"})], inputs=["I", "J"])
    executor, _ = await load(models, text.replace('name: "J"', 'name: "J" optional: true'))
    assert numbers(await executor.execute(ExecuteRequest(inputs=[rows(1)]))) == [0, 1, 2]
    both = [rows(1), Tensor("J", Dtype.FP32, (1, 3), rows(1).data)]
    assert numbers(await executor.execute(ExecuteRequest(inputs=both))) == [0, 2, 4]


async def test_a_batch_dimension_of_one_comes_and_goes_between_models(models: Models) -> None:
    models.add(model("whole", batch=0), plus(1))
    steps: list[Wiring] = [
        ("whole", {"IN": "I"}, {"OUT": "T"}),
        ("copy", {"IN": "T"}, {"OUT": "U"}),
        ("whole", {"IN": "U"}, {"OUT": "O"}),
    ]
    executor, _ = await load(models, ensemble(steps, batch=0))
    given = Tensor("I", Dtype.FP32, (3,), rows(1).data)
    result = await executor.execute(ExecuteRequest(inputs=[given]))
    assert [call.inputs[0].shape for call in models.calls] == [(3,), (1, 3), (3,)]
    assert result.outputs[0].shape == (3,) and numbers(result) == [2, 3, 4]


async def test_a_model_that_leaves_an_output_out_fails_the_request(models: Models) -> None:
    models.add(model("silent"), lambda request: [[]])
    for text in (
        ensemble([("silent", {"IN": "I"}, {"OUT": "O"})]),
        ensemble([("silent", {"IN": "I"}, {"OUT": "T"}), ("copy", {"IN": "T"}, {"OUT": "O"})]),
    ):
        executor, _ = await load(models, text)
        with pytest.raises(ServeError) as caught:
            await executor.execute(ExecuteRequest(inputs=[rows(1)]))
        assert caught.value.message == (
            "in ensemble 'm', unexpected deadlock, at least one output is not set while no more ensemble steps can be "
            "made"
        )


def counting(request: InferenceRequest) -> list[list[Tensor]]:
    """Three responses: the input, plus one, plus two."""
    values = np.frombuffer(request.inputs[0].data, np.float32)
    return [
        [Tensor("OUT", Dtype.FP32, request.inputs[0].shape, (values + np.float32(index)).tobytes())]
        for index in range(3)
    ]


@pytest.mark.parametrize(
    ("steps", "firsts"),
    [
        ([("copy", {"IN": "I"}, {"OUT": "T"}), ("counts", {"IN": "T"}, {"OUT": "O"})], [0, 1, 2]),
        ([("counts", {"IN": "I"}, {"OUT": "T"}), ("copy", {"IN": "T"}, {"OUT": "O"})], [0, 1, 2]),
        (
            [("counts", {"IN": "I"}, {"OUT": "T"}), ("counts", {"IN": "T"}, {"OUT": "O"})],
            [0, 1, 2, 1, 2, 3, 2, 3, 4],
        ),
    ],
)
async def test_each_response_of_a_decoupled_step_goes_on_through_the_steps(
    models: Models, steps: list[Wiring], firsts: list[float]
) -> None:
    models.add(model("counts", extra=DECOUPLED), counting)
    executor, config = await load(models, ensemble(steps))
    assert config.model_transaction_policy.decoupled
    results = [result async for result in executor.stream(ExecuteRequest(inputs=[rows(1)]))]
    assert [numbers(result)[0] for result in results] == firsts
    assert executor.statistics().success.count == 1


async def test_closing_the_stream_cancels_the_request(models: Models) -> None:
    models.add(model("counts", extra=DECOUPLED), counting)
    executor, _ = await load(models, ensemble([("counts", {"IN": "I"}, {"OUT": "O"})]))
    results = executor.stream(ExecuteRequest(inputs=[rows(1)]))
    assert numbers(await anext(results)) == [0, 1, 2]
    await results.aclose()
    assert executor.statistics().failures.cancelled == 1
    await executor.close()


async def test_a_config_that_calls_a_plain_ensemble_decoupled_is_corrected(models: Models) -> None:
    _, config = await load(models, ensemble(CHAIN) + DECOUPLED)
    assert not config.model_transaction_policy.decoupled


async def test_an_error_after_responses_names_the_ensemble_once(models: Models) -> None:
    def breaks(request: InferenceRequest) -> list[list[Tensor]]:
        if np.frombuffer(request.inputs[0].data, np.float32)[0] == 1:
            raise ServeError(StatusCode.INTERNAL, "enough")
        return counting(request)[:1]

    models.add(model("counts", extra=DECOUPLED), counting)
    models.add(model("breaks"), breaks)
    steps: list[Wiring] = [("counts", {"IN": "I"}, {"OUT": "T"}), ("breaks", {"IN": "T"}, {"OUT": "O"})]
    executor, _ = await load(models, ensemble(steps))
    results = executor.stream(ExecuteRequest(inputs=[rows(1)]))
    assert numbers(await anext(results)) == [0, 1, 2]
    with pytest.raises(ServeError, match=r"^in ensemble 'm', enough$"):
        await anext(results)
    assert executor.statistics().failures.other == 1


async def test_compute_times_are_the_sums_over_the_steps(models: Models) -> None:
    executor, _ = await load(models, ensemble(CHAIN))
    await executor.execute(ExecuteRequest(inputs=[rows(2)], rows=2))
    await executor.execute(ExecuteRequest(inputs=[rows(1)]))
    own, step = executor.statistics(), models.executors["copy"].statistics()
    assert own.compute_infer.ns >= step.compute_infer.ns > 0
    assert (own.success.count, own.inference_count, own.execution_count) == (2, 3, 2)
    assert [(batch.batch_size, batch.compute_infer.count) for batch in own.batches] == [(1, 1), (2, 1)]
    assert own.last_inference_ms > 0
    assert own.success.ns >= own.compute_input.ns + own.compute_infer.ns + own.compute_output.ns


async def test_a_closed_ensemble_refuses_and_completes_what_it_took(models: Models) -> None:
    models.add(model("stuck"), plus(1))
    models.gates["stuck"] = asyncio.Event()
    executor, _ = await load(models, ensemble([("stuck", {"IN": "I"}, {"OUT": "O"})]))
    running = asyncio.ensure_future(executor.execute(ExecuteRequest(inputs=[rows(1)])))
    async with asyncio.timeout(20):
        await models.entered["stuck"].wait()
    closing = asyncio.create_task(executor.close())
    await asyncio.sleep(0)
    with pytest.raises(ServeError) as caught:
        await executor.execute(ExecuteRequest(inputs=[rows(1)]))
    assert caught.value.status is StatusCode.UNAVAILABLE
    assert not closing.done()
    models.gates["stuck"].set()
    assert numbers(await running) == [1, 2, 3]
    await closing
    await executor.close()


async def test_a_step_that_is_not_ready_or_does_not_fit_fails_the_load(models: Models) -> None:
    with pytest.raises(ServeError, match="'zzz' is not found") as missing:
        await load(models, ensemble([("zzz", {"IN": "I"}, {"OUT": "O"})]))
    assert missing.value.status is StatusCode.NOT_FOUND
    models.add(model("ints", dtype="INT32"), plus(1))
    with pytest.raises(ServeError, match="inconsistent data type"):
        await load(models, ensemble([("ints", {"IN": "I"}, {"OUT": "O"})]))
