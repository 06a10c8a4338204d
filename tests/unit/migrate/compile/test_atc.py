"""A run of the compiler: what is kept of it, and that a failed one leaves no OM."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from npuserve.migrate.compile.atc import Compiled, run_atc
from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.compiler import Compiler, find_compiler
from npuserve.migrate.errors import SetupError
from support.cann import write_program
from support.models import tokens

SUCCESS = "echo 'ATC start working now'; echo 'ATC run success, welcome to the next use.'"


@pytest.fixture
def options(tmp_path: Path) -> AtcOptions:
    onnx.save(tokens(), str(tmp_path / "model.onnx"))
    (tmp_path / "out").mkdir()
    return AtcOptions(
        model=tmp_path / "model.onnx",
        output=tmp_path / "out/model.om",
        soc_version="Ascend910B3",
        shapes={"input_ids": (1, 8), "attention_mask": (1, 8)},
    )


@pytest.fixture
def emulator() -> Compiler:
    return find_compiler({"PATH": "/bin:/usr/bin"}, "Ascend910B3")


def scripted(emulator: Compiler, folder: Path, script: str) -> Compiler:
    """A compiler that does what a shell script says; $OM is the OM it should write."""
    program = write_program(
        folder / "atc", f'for flag; do case "$flag" in --output=*) OM="${{flag#--output=}}.om";; esac; done\n{script}'
    )
    return replace(emulator, program=program)


def run(compiler: Compiler, options: AtcOptions) -> Compiled:
    return run_atc(compiler, options, options.output.parent)


def kept(options: AtcOptions) -> set[str]:
    return {path.name for path in options.output.parent.iterdir()}


def test_a_good_run_leaves_the_om_the_command_and_the_output(emulator: Compiler, options: AtcOptions) -> None:
    found = run(emulator, options)
    assert (found.exit_code, found.om, found.reason) == (0, options.output, "")
    assert kept(options) == {"model.om", "atc.log", "command.txt"}
    command = (options.output.parent / "command.txt").read_text()
    assert command == found.command + "\n"
    assert command.startswith(f"npuserve atc --model={options.model} --framework=5 ")
    assert "'--input_shape=input_ids:1,8;attention_mask:1,8'" in command
    assert "ATC run success" in (options.output.parent / "atc.log").read_text()


def test_the_command_names_the_folder_as_it_will_be(emulator: Compiler, options: AtcOptions, tmp_path: Path) -> None:
    found = run_atc(emulator, options, options.output.parent, tmp_path / "final")
    assert f"--output={tmp_path}/final/model " in found.command


def test_an_unknown_operator_is_explained_and_leaves_no_om(emulator: Compiler, options: AtcOptions) -> None:
    model = tokens()
    model.graph.node[0].op_type = "Frobnicate"
    onnx.save(model, str(options.model))
    found = run(emulator, options)
    assert (found.exit_code, found.om) == (255, None)
    assert found.errors[0].code == "E19010"
    assert "Frobnicate" in found.reason
    assert kept(options) == {"atc.log", "command.txt"}


def test_a_half_written_om_of_a_failed_run_is_removed(emulator: Compiler, options: AtcOptions, tmp_path: Path) -> None:
    compiler = scripted(emulator, tmp_path, 'echo half >"$OM"; echo "E40021: Failed to compile Op [x]."; exit 255')
    found = run(compiler, options)
    assert (found.om, found.errors[0].meaning) == (None, "a kernel could not be compiled")
    assert "model.om" not in kept(options)


def test_success_needs_the_words_and_the_file(emulator: Compiler, options: AtcOptions, tmp_path: Path) -> None:
    silent = run(scripted(emulator, tmp_path, 'echo x >"$OM"'), options)
    assert (silent.exit_code, silent.om) == (0, None)
    assert silent.reason == "it ended with code 0, and told no reason"
    assert run(scripted(emulator, tmp_path, SUCCESS), options).om is None
    assert "model.om" not in kept(options)


def test_an_om_that_names_the_hosts_system_gets_its_name_back(
    emulator: Compiler, options: AtcOptions, tmp_path: Path
) -> None:
    compiler = scripted(emulator, tmp_path, f'echo x >"${{OM%.om}}_linux_aarch64.om"; {SUCCESS}')
    assert run(compiler, options).om == options.output
    assert kept(options) == {"model.om", "atc.log", "command.txt"}


def test_files_that_the_compiler_leaves_where_it_runs_lie_in_the_folder(
    emulator: Compiler, options: AtcOptions, tmp_path: Path
) -> None:
    run(scripted(emulator, tmp_path, f'echo {{}} >fusion_result.json; echo x >"$OM"; {SUCCESS}'), options)
    assert "fusion_result.json" in kept(options)


def test_a_compiler_that_the_system_ends_is_told(emulator: Compiler, options: AtcOptions, tmp_path: Path) -> None:
    found = run(scripted(emulator, tmp_path, "kill -9 $$"), options)
    assert found.exit_code == -signal.SIGKILL
    assert found.reason == "it was ended by SIGKILL, as the system does when memory runs out"


def test_a_compiler_that_cannot_be_started_is_told(emulator: Compiler, options: AtcOptions, tmp_path: Path) -> None:
    broken = tmp_path / "atc"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o755)
    with pytest.raises(SetupError, match=r"atc cannot be started: .*Exec format error"):
        run(replace(emulator, program=broken), options)


def test_a_full_disk_is_told_as_such(emulator: Compiler, options: AtcOptions, tmp_path: Path) -> None:
    script = 'echo half >"$OM"; echo "E19004: Failed to write file. Reason: No space left on device"; exit 255'
    with pytest.raises(SetupError, match="the disk is full: atc could not write the OM") as caught:
        run(scripted(emulator, tmp_path, script), options)
    assert "make room" in caught.value.advice[0]
    assert "model.om" not in kept(options)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 KB; skipped where none may be mounted."""
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_indeed_is_told_as_such(emulator: Compiler, options: AtcOptions, small_disk: Path) -> None:
    (small_disk / "other").write_bytes(bytes(4096))
    with pytest.raises(SetupError, match="the disk is full: atc could not write the OM"):
        run(emulator, options)
    assert "model.om" not in kept(options)


def test_an_interrupt_ends_the_compiler_and_leaves_no_om(
    emulator: Compiler, options: AtcOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = scripted(
        emulator, tmp_path, f'echo half >"$OM"; echo begun; sleep 0.3; echo $$ >{tmp_path}/pid; exec sleep 300'
    )
    process: list[subprocess.Popen[bytes]] = []
    started = subprocess.Popen

    def popen(*given: object, **named: object) -> subprocess.Popen[bytes]:
        process.append(started(*given, **named))  # type: ignore[call-overload]
        return process[0]

    def interrupt() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    monkeypatch.setattr("npuserve.migrate.compile.vendor_process.subprocess.Popen", popen)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(compiler, options)
    thread.join()
    assert process[0].returncode == -signal.SIGKILL
    # The log is there as far as it came.
    assert kept(options) == {"atc.log", "command.txt"}
    assert (options.output.parent / "atc.log").read_text() == "begun\n"


def test_a_compiler_that_outlives_its_run_does_not_meet_the_next(
    emulator: Compiler, options: AtcOptions, tmp_path: Path
) -> None:
    """Where each run writes is its own, so that what a killed one left running ends nowhere."""
    places = []
    for _ in range(2):
        run(scripted(emulator, tmp_path, f'echo "$OM" >>{tmp_path}/places; exit 1'), options)
        places = (tmp_path / "places").read_text().split()
    assert len(set(places)) == 2
    assert not any(Path(place).parent.exists() for place in places)
