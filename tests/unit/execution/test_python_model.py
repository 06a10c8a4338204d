"""Python models in real worker processes: what a `model.py` sees and what its answers become."""

import asyncio
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.python_model.backend import PythonBackend
from support.python_models import (
    CONFIG,
    ECHO,
    HEADER,
    OtherModels,
    load,
    loaded,
    model_source,
    request,
    values_of,
    write_model,
)

DECOUPLED = """
name: "m" backend: "python"
input [{ name: "I" data_type: TYPE_FP32 dims: [-1, -1] }]
output [{ name: "O" data_type: TYPE_FP32 dims: [-1] }]
model_transaction_policy { decoupled: true }
"""
ANY = """
name: "m" backend: "python"
input [{ name: "I" data_type: TYPE_%s dims: [-1, -1] }]
output [{ name: "O" data_type: TYPE_%s dims: [-1, -1] }]
"""
BFLOAT16 = """
name: "m" backend: "python"
input [{ name: "I" data_type: TYPE_BF16 dims: [-1, -1] }]
output [{ name: "O" data_type: TYPE_STRING dims: [-1] }]
"""
SAY = """
def say(value):
    text = json.dumps(value).encode()
    return [pb_utils.InferenceResponse([pb_utils.Tensor("O", np.array([text], dtype=object))])]
"""
STRING_OUT = """
name: "m" backend: "python"
input [{ name: "I" data_type: TYPE_FP32 dims: [-1, -1] }]
output [{ name: "O" data_type: TYPE_STRING dims: [-1] }, { name: "P" data_type: TYPE_FP32 dims: [1] }]
parameters { key: "mine" value: { string_value: "42" } }
"""


def said(result: ExecuteResult) -> object:
    """Return what a model said with `say`."""
    data = bytes(result.outputs[0].data)
    return json.loads(data[4:])


async def test_a_model_answers_each_request_of_its_batches(tmp_path: Path) -> None:
    async with loaded(tmp_path, model_source(ECHO), CONFIG + "dynamic_batching {}") as executor:
        results = await asyncio.gather(*(executor.execute(request([float(n), n + 0.5])) for n in range(20)))
        assert [values_of(result) for result in results] == [[n, n + 0.5] for n in range(20)]
        assert [result.outputs[0].shape for result in results] == [(1, 2)] * 20
        statistics = executor.statistics()
    assert (statistics.success.count, statistics.inference_count) == (20, 20)
    assert statistics.execution_count < 20


@pytest.mark.parametrize("dtype", [dtype for dtype in Dtype if dtype not in (Dtype.BYTES, Dtype.BF16)])
async def test_every_dtype_passes_a_model_unchanged(tmp_path: Path, dtype: Dtype) -> None:
    async with loaded(tmp_path, model_source(ECHO), ANY % (dtype.value, dtype.value)) as executor:
        result = await executor.execute(request([0, 1, 1, 0], dtype=dtype))
    assert result.outputs[0].dtype is dtype
    assert values_of(result) == [0, 1, 1, 0]


async def test_strings_are_bytes_objects_and_may_be_answered_as_text(tmp_path: Path) -> None:
    execute = """
    given = pb_utils.get_input_tensor_by_name(requests[0], "I").as_numpy()
    assert given.dtype == np.object_ and given[0][0] == b"\\xc3\\xa9\\x00"
    return [pb_utils.InferenceResponse([pb_utils.Tensor("O", np.array([["é", "", b"\\xff"]], dtype=np.object_))])]
    """
    async with loaded(tmp_path, model_source(execute), ANY % ("STRING", "STRING")) as executor:
        given = request(dtype=Dtype.FP32)
        strings = given.inputs[0].__class__("I", Dtype.BYTES, (1, 1), b"\x03\0\0\0\xc3\xa9\0")
        result = await executor.execute(type(given)(inputs=[strings]))
    assert result.outputs[0].shape == (1, 3)
    assert bytes(result.outputs[0].data) == b"\x02\0\0\0\xc3\xa9\0\0\0\0\x01\0\0\0\xff"


async def test_large_tensors_stay_what_they_were_while_later_ones_come(tmp_path: Path) -> None:
    execute = "self.kept.append(pb_utils.get_input_tensor_by_name(requests[0], 'I').as_numpy())\n" + ECHO
    check = """
    def finalize(self):
        assert [int(kept[0][0]) for kept in self.kept] == [0, 1, 2, 3, 4, 5]
        open(os.environ["PWD_FOR_TEST"], "w").write("kept")
    """
    source = model_source(execute, initialize="self.kept = []", more=check)
    done = tmp_path / "done"
    source = source.replace('os.environ["PWD_FOR_TEST"]', repr(str(done)))
    async with loaded(tmp_path, source) as executor:
        results = [await executor.execute(request(np.full(100_000, n))) for n in range(6)]
        assert [values_of(result)[-1] for result in results] == [0, 1, 2, 3, 4, 5]
    assert done.read_text() == "kept"


async def test_initialize_gets_what_triton_gives(tmp_path: Path) -> None:
    source = SAY + model_source("return say(self.args)", initialize="self.args = args")
    async with loaded(tmp_path, source, STRING_OUT) as executor:
        arguments = said(await executor.execute(request()))
    assert isinstance(arguments, dict)
    config = json.loads(arguments.pop("model_config"))
    assert arguments == {
        "model_instance_kind": "CPU",
        "model_instance_name": "m_0",
        "model_instance_device_id": "0",
        "model_repository": str(tmp_path / "m"),
        "model_version": "1",
        "model_name": "m",
    }
    assert config["output"][0]["data_type"] == "TYPE_STRING"
    assert config["input"][0]["dims"] == [-1, -1]
    assert config["parameters"] == {"mine": {"string_value": "42"}}
    assert config["max_batch_size"] == 0


async def test_a_request_tells_what_the_client_said(tmp_path: Path) -> None:
    execute = """
    r = requests[0]
    return say([r.request_id(), r.correlation_id(), r.flags(), r.timeout(), json.loads(r.parameters()),
                list(r.requested_output_names()), [t.name() for t in r.inputs()], r.is_cancelled()])
    """
    async with loaded(tmp_path, SAY + model_source(execute), STRING_OUT) as executor:
        result = await executor.execute(
            request(
                name="id",
                outputs=("O",),
                parameters={"sequence_id": 7, "sequence_end": True, "timeout": 9, "mine": "x", "n": 1, "priority": 0},
            )
        )
        plain = await executor.execute(request())
    assert said(result) == ["id", 7, 2, 9, {"mine": "x", "n": 1}, ["O"], ["I"], False]
    assert said(plain) == ["", 0, 0, 0, {}, ["O", "P"], ["I"], False]


async def test_response_parameters_and_unasked_outputs(tmp_path: Path) -> None:
    execute = """
    tensors = [pb_utils.Tensor(name, np.ones((1, 1), np.float32)) for name in ("O", "X")]
    return [pb_utils.InferenceResponse(tensors, parameters={"a": 1, "b": "x", "c": True, "d": 0.5})]
    """
    async with loaded(tmp_path, model_source(execute)) as executor:
        result = await executor.execute(request(outputs=("O",)))
    assert [output.name for output in result.outputs] == ["O"]
    assert result.parameters == {"a": 1, "b": "x", "c": True, "d": 0.5}


async def test_an_error_response_has_its_code_and_counts_as_a_success(tmp_path: Path) -> None:
    execute = """
    error = pb_utils.TritonError("model says no", pb_utils.TritonError.INVALID_ARG)
    return [pb_utils.InferenceResponse(output_tensors=[], error=error) for _ in requests]
    """
    async with loaded(tmp_path, model_source(execute)) as executor:
        with pytest.raises(ServeError, match=r"^model says no$") as caught:
            await executor.execute(request())
        statistics = executor.statistics()
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert (statistics.success.count, statistics.fail.count, statistics.execution_count) == (1, 0, 1)


async def test_a_coroutine_execute_is_awaited(tmp_path: Path) -> None:
    source = model_source("import asyncio\nawait asyncio.sleep(0)\n" + ECHO).replace("def execute", "async def execute")
    async with loaded(tmp_path, source) as executor:
        assert values_of(await executor.execute(request())) == [1.0, 2.0]


async def test_a_model_calls_other_models(tmp_path: Path) -> None:
    execute = """
    given = pb_utils.Tensor("I", pb_utils.get_input_tensor_by_name(requests[0], "I").as_numpy())
    call = pb_utils.InferenceRequest(model_name="double", requested_output_names=["O"], inputs=[given],
                                     request_id="inner", parameters={"p": 1})
    answer = call.exec()
    assert not answer.has_error() and json.loads(answer.parameters()) == {"times": 2}
    return [pb_utils.InferenceResponse([pb_utils.get_output_tensor_by_name(answer, "O")])]
    """
    caller = OtherModels()
    async with loaded(tmp_path, model_source(execute), caller=caller) as executor:
        large = np.arange(50_000, dtype=np.float32)
        assert values_of(await executor.execute(request(large))) == (large * 2).tolist()
    called = caller.requests[0]
    assert (called.model, called.id, dict(called.parameters), called.outputs[0].name) == (
        "double", "inner", {"p": 1}, "O",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "status", "text"),
    [
        (
            "none",
            StatusCode.INTERNAL,
            "Model none - Error when running inference: Failed for execute the inference request. Model 'none' is not "
            "ready.",
        ),
        ("count", StatusCode.INTERNAL, "Model count - Error when running inference: 'count' is not asked so"),
        ("failing", StatusCode.UNAVAILABLE, "the model itself says no"),
    ],
)
async def test_a_failed_call_is_an_error_response(tmp_path: Path, model: str, status: StatusCode, text: str) -> None:
    execute = f"""
    answer = pb_utils.InferenceRequest(model_name="{model}", requested_output_names=["O"], inputs=[]).exec()
    return [pb_utils.InferenceResponse(error=answer.error())]
    """
    async with loaded(tmp_path, model_source(execute)) as executor:
        with pytest.raises(ServeError) as caught:
            await executor.execute(request())
    assert (caught.value.status, caught.value.message) == (status, text)


async def test_calls_at_the_same_time_and_of_decoupled_models(tmp_path: Path) -> None:
    execute = """
    import asyncio
    given = pb_utils.get_input_tensor_by_name(requests[0], "I")
    def call(model):
        return pb_utils.InferenceRequest(model_name=model, requested_output_names=["O"], inputs=[given])
    doubled = await asyncio.gather(*(call("double").async_exec() for _ in range(3)))
    counted = [r for r in call("count").exec(decoupled=True)]
    async for response in await call("count").async_exec(decoupled=True):
        counted.append(response)
    tensors = [pb_utils.get_output_tensor_by_name(r, "O").as_numpy().reshape(-1) for r in [*doubled, *counted]]
    return [pb_utils.InferenceResponse([pb_utils.Tensor("O", np.concatenate(tensors)[None])])]
    """
    source = model_source(execute).replace("def execute", "async def execute")
    async with loaded(tmp_path, source) as executor:
        assert values_of(await executor.execute(request([3.0]))) == [6, 6, 6, 0, 1, 2, 0, 1, 2]


async def test_a_decoupled_model_answers_any_number_of_times_from_any_thread(tmp_path: Path) -> None:
    execute = """
    def answer(sender, count):
        for number in range(count):
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([number]))]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    for r in requests:
        count = int(r.inputs()[0].as_numpy()[0][0])
        threading.Thread(target=answer, args=(r.get_response_sender(), count)).start()
    return None
    """
    async with loaded(tmp_path, model_source(execute), DECOUPLED) as executor:
        assert [values_of(result) async for result in executor.stream(request([3.0]))] == [[0], [1], [2]]
        assert [result async for result in executor.stream(request([0.0]))] == []
        statistics = executor.statistics()
    assert [each.success.count for each in statistics.responses] == [1, 1, 1, 0]
    assert statistics.success.count == 2


async def test_an_error_among_the_responses_of_a_decoupled_model_is_one_of_them(tmp_path: Path) -> None:
    execute = """
    sender = requests[0].get_response_sender()
    one = pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([1]))])
    sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("not yet", pb_utils.TritonError.UNAVAILABLE)))
    sender.send(one)
    sender.send(one, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    """
    async with loaded(tmp_path, model_source(execute), DECOUPLED) as executor:
        error, first, last = [result async for result in executor.stream(request([1.0]))]
        statistics = executor.statistics()
    assert error.error is not None
    assert (error.error.status, error.error.message) == (StatusCode.UNAVAILABLE, "not yet")
    assert (values_of(first), first.is_final, values_of(last), last.is_final) == ([1], False, [1], True)
    counted = [(each.success.count, each.fail.count, each.empty_response.count) for each in statistics.responses]
    assert counted == [(0, 1, 0), (1, 0, 0), (1, 0, 0)]


async def test_bfloat16_is_refused_by_numpy_and_has_its_number(tmp_path: Path) -> None:
    execute = """
    given = pb_utils.get_input_tensor_by_name(requests[0], "I")
    try:
        given.as_numpy()
    except pb_utils.TritonModelException as error:
        return say([given.triton_dtype(), str(error)])
    """
    async with loaded(tmp_path, model_source(execute) + SAY, BFLOAT16) as executor:
        asked = ExecuteRequest(inputs=[Tensor("I", Dtype.BF16, (1, 1), b"\x80\x3f")])
        answer = (await executor.execute(asked)).outputs[0].data
    assert json.loads(bytes(answer)[4:]) == [
        14,
        "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead.",
    ]


async def test_nothing_can_be_sent_after_the_last_response(tmp_path: Path) -> None:
    execute = """
    sender = requests[0].get_response_sender()
    final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([1]))]), final)
    for arguments in [(pb_utils.InferenceResponse([]),), (None, final)]:
        try:
            sender.send(*arguments)
        except pb_utils.TritonModelException as error:
            assert "closed" in str(error)
        else:
            os._exit(1)
    """
    async with loaded(tmp_path, model_source(execute), DECOUPLED) as executor:
        assert [values_of(result) async for result in executor.stream(request([1.0]))] == [[1]]
        assert [values_of(result) async for result in executor.stream(request([1.0]))] == [[1]]


async def test_a_model_learns_that_a_stream_was_given_up(tmp_path: Path) -> None:
    execute = """
    sender = requests[0].get_response_sender()
    def answer():
        sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([1]))]))
        while not sender.is_cancelled():
            time.sleep(0.001)
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    threading.Thread(target=answer).start()
    """
    async with loaded(tmp_path, model_source(execute), DECOUPLED) as executor:
        stream = executor.stream(request([1.0]))
        await anext(stream)
        await stream.aclose()
        # Closing waits for the request, which ends because the model was told.


async def test_log_lines_and_metrics_reach_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    initialize = """
    pb_utils.Logger.log_warn("from the model")
    family = pb_utils.MetricFamily(name="things", description="Things done", kind=pb_utils.MetricFamily.COUNTER)
    self.counter = family.Metric(labels={"model": "m"})
    gauge = pb_utils.MetricFamily(name="level", description="A level", kind=pb_utils.MetricFamily.GAUGE).Metric({})
    gauge.set(5)
    gauge.increment(-2)
    assert gauge.value() == 3
    assert pb_utils.MetricFamily(name="level", description="", kind=pb_utils.MetricFamily.GAUGE).Metric().value() == 3
    """
    backend = PythonBackend(OtherModels())
    source = model_source("self.counter.increment(2.5)\n" + ECHO, initialize=initialize)
    with caplog.at_level(logging.INFO):
        executor, _ = await load(backend, write_model(tmp_path, source))
        await executor.execute(request())
        await executor.execute(request())
        memory = backend.metrics.families()[-1]
        await executor.close()
    assert (memory.name, memory.kind) == ("npuserve_python_worker_memory_bytes", "gauge")
    ((labels, resident_bytes),) = memory.values.items()
    assert labels == (("model", "m"), ("version", "1"), ("instance", "m_0"))
    assert resident_bytes > 1 << 20
    assert any(record.levelno == logging.WARNING and "from the model" in record.message for record in caplog.records)
    level, things = backend.metrics.families()
    assert (level.kind, level.values) == ("gauge", {(): 3.0})
    assert (things.kind, things.description, things.values) == ("counter", "Things done", {(("model", "m"),): 5.0})


async def test_a_model_completes_its_config(tmp_path: Path) -> None:
    more = """
    @staticmethod
    def auto_complete_config(config):
        assert config.as_dict()["name"] == "m"
        config.add_input({"name": "I", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "O", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(4)
        config.set_dynamic_batching()
        config.set_model_transaction_policy({"decoupled": False})
        return config
    """
    path = write_model(tmp_path, model_source(ECHO, more=more), 'name: "m" backend: "python"')
    executor, config = await load(PythonBackend(OtherModels()), path, auto_complete=True)
    assert (config.max_batch_size, config.input[0].name, list(config.output[0].dims)) == (4, "I", [-1])
    assert config.HasField("dynamic_batching")
    assert values_of(await executor.execute(request())) == [1.0, 2.0]
    await executor.close()


async def test_a_model_without_completion_leaves_its_config(tmp_path: Path) -> None:
    path = write_model(tmp_path, model_source(ECHO))
    executor, config = await load(PythonBackend(OtherModels()), path, auto_complete=True)
    assert config.max_batch_size == 8
    await executor.close()


async def test_what_a_completion_contradicts_is_refused(tmp_path: Path) -> None:
    more = """
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "I", "data_type": "TYPE_INT32", "dims": [-1]})
        return config
    """
    path = write_model(tmp_path, model_source(ECHO, more=more))
    with pytest.raises(ServeError, match="configuration expects datatype TYPE_FP32 for input 'I', model provides TYPE"):
        await load(PythonBackend(OtherModels()), path, auto_complete=True)


async def test_instances_are_processes_that_work_at_the_same_time(tmp_path: Path) -> None:
    # Each execution waits until the other instance has one too.
    execute = f"""
    open({str(tmp_path)!r} + "/" + self.name, "w").close()
    while len([name for name in os.listdir({str(tmp_path)!r}) if name.startswith("m_")]) < 2:
        time.sleep(0.001)
    return [pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([[os.getpid()]]))]) for _ in requests]
    """
    config = CONFIG + 'instance_group [{ name: "m" count: 2 kind: KIND_CPU }]'
    source = model_source(execute, initialize="self.name = args['model_instance_name']")
    async with loaded(tmp_path, source, config) as executor:
        results = await asyncio.gather(*(executor.execute(request()) for _ in range(2)))
    assert len({values_of(result)[0] for result in results}) == 2


async def test_names_of_the_module_that_models_use(tmp_path: Path) -> None:
    check = """
    config = json.loads(args["model_config"])
    assert pb_utils.get_input_config_by_name(config, "I")["data_type"] == "TYPE_FP32"
    assert pb_utils.get_output_config_by_name(config, "none") is None
    assert pb_utils.triton_string_to_numpy("TYPE_STRING") is np.object_
    assert pb_utils.triton_string_to_numpy("TYPE_BOOL") is bool
    assert pb_utils.triton_to_numpy_type(11) is np.float32
    assert pb_utils.numpy_to_triton_type(np.float32) == 11 and pb_utils.numpy_to_triton_type(np.object_) == 13
    assert pb_utils.using_decoupled_model_transaction_policy(config) is False
    tensor = pb_utils.Tensor("T", np.zeros((2, 3), np.int64))
    assert (tensor.name(), list(tensor.shape()), tensor.triton_dtype(), tensor.is_cpu()) == ("T", [2, 3], 9, True)
    assert pb_utils.Tensor.from_dlpack("T", tensor.as_numpy()).as_numpy().shape == (2, 3)
    assert np.from_dlpack(tensor).shape == (2, 3)
    array = np.array([b"a", b"bc"], dtype=object)
    assert pb_utils.deserialize_bytes_tensor(pb_utils.serialize_byte_tensor(array)).tolist() == [b"a", b"bc"]
    """
    async with loaded(tmp_path, model_source(ECHO, initialize=check)):
        pass


async def test_modules_beside_the_model_can_be_imported(tmp_path: Path) -> None:
    path = write_model(tmp_path, f"{HEADER}\nfrom beside import TritonPythonModel\n")
    (path.parent / "beside.py").write_text(model_source(ECHO))
    executor, _ = await load(PythonBackend(OtherModels()), path)
    assert values_of(await executor.execute(request())) == [1.0, 2.0]
    await executor.close()
