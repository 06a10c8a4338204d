"""The command by its own process, with stages that pretend."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from support.migration import started
from support.models import tokens

PROGRAM = Path(__file__).resolve().parents[2] / "support" / "pretended_migrate.py"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "sentiment").mkdir()
    (tmp_path / "migration.toml").write_text('work = "work"\n[source]\nname = "sentiment"\ncheckpoint = "sentiment"\n')
    running = []

    def run(*arguments: str, pretend: str = "", before: Callable[[], None] | None = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PRETEND": pretend},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def left(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir() if path.name != ".lock")


def test_a_migration_runs_and_says_where_its_report_is(start: Start, tmp_path: Path) -> None:
    code, out, err = ended(start())
    assert code == 0, err
    assert "| S3 compare | passed | " in out
    assert f"report: {tmp_path}/work/report/report.html" in out
    assert "1/5 S1 export ..." in err
    assert (tmp_path / "work" / "report" / "report.md").exists()


def test_a_killed_run_goes_on_with_the_stage_it_was_in(start: Start, tmp_path: Path) -> None:
    work = tmp_path / "work"
    process = start(pretend="S3_compare=sleeping")
    wait_for(work / "S3_compare.partial" / "compiler.log", process)
    process.send_signal(signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL
    assert left(work) == ["S1_export", "S2_compile", "S3_compare.partial", "runs.log"]
    assert ended(start())[0] == 0
    assert started(work) == ["S1_export", "S2_compile", "S3_compare", "S3_compare", "S4_serve", "S5_prove"]
    assert (work / "S3_compare" / "artifact.txt").read_text() == "whole"
    assert not [name for name in left(work) if "partial" in name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing_half_written(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    work = tmp_path / "work"
    process = start(pretend="S2_compile=sleeping")
    wait_for(work / "S2_compile.partial" / "compiler.log", process)
    process.send_signal(number)
    code, _, err = ended(process)
    assert code == 128 + number
    assert "npuserve migrate: stopped; the next run goes on from the last finished stage" in err
    assert "Traceback" not in err
    assert left(work) == ["S1_export", "S2_compile.failed", "runs.log"]


def test_a_second_run_in_the_same_folder_is_refused(start: Start, tmp_path: Path) -> None:
    first = start(pretend="S1_export=sleeping")
    wait_for(tmp_path / "work" / "S1_export.partial" / "compiler.log", first)
    code, _, err = ended(start())
    assert code == 2
    assert f"another run (process {first.pid}) works in {tmp_path}/work" in err
    assert "try: wait for it to end, or give this one a folder of its own by --work" in err
    assert (tmp_path / "work" / "S1_export.partial" / "compiler.log").exists()


def test_a_failed_gate_ends_with_1_the_reason_and_advice(start: Start, tmp_path: Path) -> None:
    code, out, err = ended(start(pretend="S3_compare=failing"))
    assert code == 1
    assert "compare: the gate failed: cosine is 0.5, must be above 0.999\n  try: keep LayerNorm in fp32\n" in err
    assert "| S4 serve   | pending |" in out
    assert "Failed at the gate of S3 Compare" in (tmp_path / "work" / "report" / "report.md").read_text()


def test_a_file_beyond_the_limit_ends_in_a_sentence_and_is_removed(start: Start, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))

    code, _, err = ended(start(pretend="S2_compile=filling", before=limit))
    assert code == 3
    assert f"compile: there is no room to write in {tmp_path}/work: " in err
    assert "try: make room and run again: finished stages are kept" in err
    assert left(tmp_path / "work") == ["S1_export", "report", "runs.log"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_ends_in_a_sentence_and_what_was_written_is_removed(start: Start, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")
    try:
        code, _, err = ended(start("--work", "small/work", pretend="S2_compile=filling"))
        assert code == 3
        assert "No space left on device" in err
        assert left(small / "work") == ["S1_export", "report", "runs.log"]
        assert ended(start("--work", "small/work"))[0] == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_one_stage_is_a_command(start: Start, tmp_path: Path) -> None:
    code, _, err = ended(start("compile"))
    assert code == 2
    assert "the results of export are needed: it has not run yet, or with other settings" in err
    assert ended(start("export"))[0] == 0
    assert ended(start("compile"))[0] == 0
    assert started(tmp_path / "work") == ["S1_export", "S2_compile"]


def test_the_fallback_serves_the_onnx_model(start: Start, tmp_path: Path) -> None:
    code, out, err = ended(start("--fallback-onnxruntime", "--repository", "models", pretend="S4_serve=serving"))
    assert code == 0, err
    assert started(tmp_path / "work") == ["S1_export", "S4_serve", "S5_prove"]
    assert (tmp_path / "models" / "sentiment" / "1" / "model.onnx").read_text() == "onnxruntime"
    assert f"model: {tmp_path}/models/sentiment" in out
    code, _, err = ended(start("compile", "--fallback-onnxruntime"))
    assert code == 2
    assert "compile is no stage of the fallback to ONNX Runtime" in err


def test_a_model_of_the_name_that_is_another_is_not_overwritten(start: Start, tmp_path: Path) -> None:
    arguments = ("--repository", "models")
    assert ended(start(*arguments, pretend="S4_serve=serving"))[0] == 0
    # The same again is no trouble.
    assert ended(start(*arguments, pretend="S4_serve=serving"))[0] == 0
    (tmp_path / "models" / "sentiment" / "1" / "model.onnx").write_text("precious")
    code, _, err = ended(start(*arguments, pretend="S4_serve=serving"))
    assert code == 2
    assert f"{tmp_path}/models has another model sentiment already" in err
    assert (tmp_path / "models" / "sentiment" / "1" / "model.onnx").read_text() == "precious"


def test_the_report_alone_runs_nothing(start: Start, tmp_path: Path) -> None:
    assert ended(start("export"))[0] == 0
    code, _, _ = ended(start("report", "--language", "zh"))
    assert code == 0
    assert started(tmp_path / "work") == ["S1_export"]
    markdown = (tmp_path / "work" / "report" / "report.md").read_text()
    assert "未完成：下一阶段为 S2 编译" in markdown
    assert f"\nnpuserve migrate --config {tmp_path}/migration.toml --language zh\n" in markdown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chekpoint", "x"], "unrecognized arguments: --chekpoint x (did you mean --checkpoint?)"),
        (["prov"], "unknown stage prov, did you mean prove?"),
        (["--config", "none.toml"], "cannot read none.toml: No such file or directory"),
        (["--dataset", "none.jsonl"], "source.dataset is not there: "),
        (["--onnx", "none.onnx"], "source.onnx is not there: "),
    ],
)
def test_wrong_input_ends_with_2(start: Start, arguments: list[str], message: str) -> None:
    code, _, err = ended(start(*arguments))
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_work_folder_that_cannot_be_made_ends_with_3(start: Start) -> None:
    code, _, err = ended(start("--work", "/proc/none"))
    assert code == 3
    assert "/proc/none" in err
    assert "Traceback" not in err


@pytest.fixture
def triton(tmp_path: Path) -> Path:
    """A repository with a graph, and a plan for NVIDIA's GPUs, which nobody can bring here."""
    repository = tmp_path / "triton"
    for name, file in (("words", "model.onnx"), ("plan", "model.plan")):
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "1" / file).touch()
    onnx.save(tokens(), str(repository / "words" / "1" / "model.onnx"))
    return repository


def test_a_repository_of_tritons_is_carried_and_what_is_left_is_told(
    start: Start, triton: Path, tmp_path: Path
) -> None:
    arguments = ("--from-triton", str(triton), "--repository", "new")
    code, out, err = ended(start(*arguments, pretend="S4_serve=serving"))
    assert code == 1, err
    assert "| words | converted (onnxruntime to ascend) |" in out
    assert "| plan  | left " in out
    assert (tmp_path / "new" / "words" / "1" / "model.onnx").read_text() == "ascend"
    assert not (tmp_path / "new" / "plan").exists()
    assert (tmp_path / "work" / "words" / "1" / "report" / "report.html").exists()


def test_a_model_that_fails_its_gate_stays_on_onnx_runtime_if_asked(start: Start, triton: Path, tmp_path: Path) -> None:
    arguments = ("--from-triton", str(triton), "--repository", "new", "--fallback-onnxruntime")
    code, out, err = ended(start(*arguments, pretend="S3_compare=failing"))
    assert code == 1, err
    assert "compare: the gate failed: cosine is 0.5, must be above 0.999: it stays on ONNX Runtime" in out
    same = (triton / "words" / "1" / "model.onnx").read_bytes()
    assert (tmp_path / "new" / "words" / "1" / "model.onnx").read_bytes() == same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--from-triton needs --repository, the new repository's folder"),
        (("--repository", "triton"), "must lie beside the old one"),
    ],
)
def test_a_repository_needs_a_place_beside_the_old_one(
    start: Start, triton: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = ended(start("--from-triton", str(triton), *arguments))
    assert code == 2
    assert message in err


def test_a_report_that_cannot_be_written_does_not_hide_why_a_stage_stopped(start: Start, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "report").touch()
    code, _, err = ended(start(pretend="S3_compare=failing"))
    assert code == 1
    assert "compare: the gate failed" in err
    assert f"error: report: {tmp_path}/work/report: File exists" in err
    assert ended(start())[0] == 3
