"""Python models that raise, answer nonsense, hang or die: each request is answered, and the next one is served."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.execution.python_model.backend import PythonBackend
from npuserve.execution.scheduling import StreamingExecutor
from support.python_models import (
    CONFIG,
    ECHO,
    OtherModels,
    load,
    loaded,
    model_source,
    request,
    values_of,
    write_model,
)

FAILED = "Failed to process the request(s) for model 'm_0', message: "
# Misbehaves when the first element is negative, and echoes else.
SOMETIMES = """
if pb_utils.get_input_tensor_by_name(requests[0], "I").as_numpy()[0][0] < 0:
    {misbehave}
"""


async def _error(executor: StreamingExecutor, value: float = -1.0) -> ServeError:
    with pytest.raises(ServeError) as caught:
        await asyncio.wait_for(executor.execute(request([value])), 60)
    return caught.value


@pytest.mark.parametrize(
    ("misbehave", "text"),
    [
        ("raise RuntimeError('boom é')", "RuntimeError: boom é\n\nAt:\n  {path}(12): execute\n"),
        ("sys.exit(3)", "SystemExit: 3\n\nAt:\n  {path}(12): execute\n"),
        ("return 7", "Expected a list in the execute return, found type '<class 'int'>'."),
        (
            "return []",
            "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
            "InferenceRequest(s) size is:1, and InferenceResponse(s) size is:0\n",
        ),
        (
            "return ['x']",
            "Expected an 'InferenceResponse' object in the execute function return list, found type '<class 'str'>'.",
        ),
    ],
)
async def test_what_execute_does_wrong_is_told_in_tritons_words(tmp_path: Path, misbehave: str, text: str) -> None:
    async with loaded(tmp_path, model_source(SOMETIMES.format(misbehave=misbehave) + ECHO)) as executor:
        error = await _error(executor)
        assert values_of(await executor.execute(request())) == [1.0, 2.0]
        statistics = executor.statistics()
    assert error.status is StatusCode.INTERNAL
    assert error.message == FAILED + text.format(path=tmp_path / "m" / "1" / "model.py")
    # Triton counts the execution although its requests failed.
    assert (statistics.success.count, statistics.fail.count, statistics.execution_count) == (1, 1, 2)
    assert statistics.failures.backend == 1


async def test_no_response_at_all_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    async with loaded(tmp_path, model_source("return [None]")) as executor:
        assert (await _error(executor)).message == "the model returned no InferenceResponse for the request"


@pytest.mark.parametrize(
    "wrong",
    [
        "pb_utils.Tensor('O', [1.0])",
        "pb_utils.Tensor('O', np.zeros(1, np.complex64))",
        "pb_utils.InferenceResponse(['x'])",
        "pb_utils.InferenceResponse([], parameters={'a': []})",
        "pb_utils.InferenceRequest().exec()",
        "requests[0].get_response_sender().send(flags=7)",
        "requests[0].get_response_sender().send()",
    ],
)
async def test_wrong_use_of_the_module_raises_in_the_model(tmp_path: Path, wrong: str) -> None:
    async with loaded(tmp_path, model_source(f"return [{wrong}]")) as executor:
        assert (await _error(executor)).message.startswith(FAILED + "TritonModelException: ")


async def test_a_model_that_raises_in_initialize_does_not_load(tmp_path: Path) -> None:
    path = write_model(tmp_path, model_source(ECHO, initialize="raise ValueError('bad init')"))
    with pytest.raises(ServeError) as caught:
        await load(PythonBackend(OtherModels()), path)
    assert caught.value.status is StatusCode.INTERNAL
    assert caught.value.message == f"ValueError: bad init\n\nAt:\n  {path}(8): initialize\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "AttributeError: module '1.model' has no attribute 'TritonPythonModel'"),
        ("import nonexistent_module", "ModuleNotFoundError: No module named 'nonexistent_module'\n\nAt:\n"),
        ("def broken(:", "SyntaxError: "),
        ("import os\nos._exit(3)", "Stub process 'm_0' is not healthy."),
        (
            "class TritonPythonModel:\n    def initialize(self, args):\n        import os; os._exit(3)",
            "Stub process 'm_0' is not healthy.",
        ),
    ],
)
async def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        await load(PythonBackend(OtherModels()), write_model(tmp_path, source))
    assert caught.value.status is StatusCode.INTERNAL
    assert caught.value.message.startswith(message)


async def test_one_instance_that_fails_to_load_takes_the_others_with_it(tmp_path: Path) -> None:
    config = CONFIG + 'instance_group [{ name: "m" count: 2 kind: KIND_CPU }]'
    initialize = "assert args['model_instance_name'] == 'm_0'"
    finalized = tmp_path / "finalized"
    more = f"def finalize(self):\n    open({str(finalized)!r}, 'w').close()"
    path = write_model(tmp_path, model_source(ECHO, initialize=initialize, more=more), config)
    with pytest.raises(ServeError, match="AssertionError"):
        await load(PythonBackend(OtherModels()), path)
    assert finalized.exists()


async def test_a_model_without_execute_says_so_to_each_request(tmp_path: Path) -> None:
    async with loaded(tmp_path, "class TritonPythonModel:\n    pass\n") as executor:
        path = tmp_path / "m" / "1" / "model.py"
        assert (await _error(executor)).message == FAILED + f"Python model {path} does not implement `execute` method."


async def test_requests_of_a_process_that_dies_are_answered_and_it_is_started_again(tmp_path: Path) -> None:
    source = model_source(SOMETIMES.format(misbehave="os._exit(3)") + ECHO)
    async with loaded(tmp_path, source, CONFIG + "dynamic_batching {}") as executor:
        for _ in range(2):
            dying = [asyncio.create_task(_error(executor)) for _ in range(3)]
            messages = {(await task).message for task in dying}
            assert messages == {"Stub process 'm_0' is not healthy."}
            assert values_of(await executor.execute(request())) == [1.0, 2.0]
        statistics = executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.failures.backend) == (2, 6, 6)


async def test_a_process_killed_from_outside_is_started_again(tmp_path: Path) -> None:
    execute = "return [pb_utils.InferenceResponse([pb_utils.Tensor('O', np.float64([[os.getpid()]]))])]"
    async with loaded(tmp_path, model_source(execute)) as executor:
        first = values_of(await executor.execute(request()))[0]
        os.kill(int(first), signal.SIGKILL)
        # It may still be answered by nobody: the socket's end is noticed, or the request's loss is.
        seen = first
        while seen == first:
            result = await asyncio.gather(executor.execute(request()), return_exceptions=True)
            if not isinstance(result[0], BaseException):
                seen = values_of(result[0])[0]
            else:
                assert "not healthy" in str(result[0])
    assert seen != first


async def test_a_stream_whose_process_dies_ends_with_an_error_after_its_results(tmp_path: Path) -> None:
    execute = """
    sender = requests[0].get_response_sender()
    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("O", np.float32([1]))]))
    os._exit(3)
    """
    async with loaded(tmp_path, model_source(execute), CONFIG + "model_transaction_policy { decoupled: true }") as it:
        stream = it.stream(request())
        assert values_of(await anext(stream)) == [1.0]
        with pytest.raises(ServeError, match="is not healthy"):
            await anext(stream)


async def test_a_model_that_hangs_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    config = CONFIG + 'parameters { key: "execute_timeout_ms" value: { string_value: "1500" } }'
    source = model_source(SOMETIMES.format(misbehave="threading.Event().wait()") + ECHO)
    async with loaded(tmp_path, source, config) as executor:
        error = await _error(executor)
        assert error.status is StatusCode.INTERNAL
        assert error.message == "'m_0' did not execute within 1500 ms, its process is started again"
        assert values_of(await executor.execute(request())) == [1.0, 2.0]


async def test_a_process_that_cannot_be_started_again_leaves_errors_and_tries_once_more(tmp_path: Path) -> None:
    source = model_source(SOMETIMES.format(misbehave="os._exit(3)") + ECHO)
    async with loaded(tmp_path, source) as executor:
        path = write_model(tmp_path, "raise RuntimeError('broken now')")
        await _error(executor)
        assert (await _error(executor, 1.0)).message == "Stub process 'm_0' is not healthy."
        path.write_text(source)
        assert values_of(await executor.execute(request())) == [1.0, 2.0]


async def test_a_model_that_prints_to_its_streams_or_closes_them_goes_on(tmp_path: Path) -> None:
    execute = "print('out'); os.close(0); os.close(1); os.close(2)\n" + ECHO
    async with loaded(tmp_path, model_source(execute)) as executor:
        assert values_of(await executor.execute(request())) == [1.0, 2.0]


async def test_finalize_runs_once_and_what_it_raises_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = "def finalize(self):\n    raise RuntimeError('bad end')"
    async with loaded(tmp_path, model_source(ECHO, more=more)):
        pass
    assert "'m_0' failed to finalize: RuntimeError: bad end" in caplog.text


@pytest.mark.parametrize("text", ["abc", "0", "-1", "nan"])
async def test_an_execute_timeout_must_be_a_number_above_zero(tmp_path: Path, text: str) -> None:
    config = CONFIG + f'parameters {{ key: "execute_timeout_ms" value: {{ string_value: "{text}" }} }}'
    with pytest.raises(ServeError, match="must be a number above 0"):
        await load(PythonBackend(OtherModels()), write_model(tmp_path, model_source(ECHO), config))


async def test_the_environment_of_a_model_is_a_folder_with_an_interpreter(tmp_path: Path) -> None:
    config = CONFIG + 'parameters { key: "EXECUTION_ENV_PATH" value: { string_value: "%s" } }'
    source = model_source(
        ECHO, initialize="assert os.environ.get('OWN_INTERPRETER') == 'yes', 'started by another interpreter'"
    )
    path = write_model(tmp_path, source, config % "$$TRITON_MODEL_DIRECTORY/environment")
    with pytest.raises(ServeError, match=r"must name a folder with 'bin/python', got '.*/m/environment'"):
        await load(PythonBackend(OtherModels()), path)
    interpreter = path.parent.parent / "environment" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f'#!/bin/sh\nOWN_INTERPRETER=yes exec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    executor, _ = await load(PythonBackend(OtherModels()), path)
    assert values_of(await executor.execute(request())) == [1.0, 2.0]
    await executor.close()
    (tmp_path / "packed.tar.gz").write_bytes(b"")
    path = write_model(tmp_path, source, config % (tmp_path / "packed.tar.gz"))
    with pytest.raises(ServeError, match="packed environments are not unpacked by this server"):
        await load(PythonBackend(OtherModels()), path)


def test_workers_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    """A server that is killed leaves no process behind, not even one whose model never returns."""
    script = f"""
import asyncio, sys
from pathlib import Path
from support.python_models import *
async def main():
    hang = model_source("threading.Event().wait()", initialize="print(os.getpid(), flush=True)")
    backend = PythonBackend(OtherModels())
    executor, _ = await load(backend, write_model(Path({str(tmp_path)!r}), hang))
    await executor.execute(request())
asyncio.run(main())
"""
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent / 'server'}"}
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    try:
        worker = int(server.stdout.readline())
        os.kill(worker, 0)
    finally:
        server.kill()
        server.wait()
    # The worker holds the other end of this pipe: it is over when the worker is.
    assert server.stdout.read() == ""
    server.stdout.close()
