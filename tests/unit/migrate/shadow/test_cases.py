"""The worst cases are kept, of every kind, within bounds, and can be repeated from their files."""

import json
from pathlib import Path

import numpy as np
import pytest
from npuserve._proto import inference_pb2 as pb
from npuserve.migrate.shadow.cases import Cases, Exchange
from npuserve.migrate.shadow.compare import Difference, OutputDifference


def request(model: str = "m") -> bytes:
    message = pb.ModelInferRequest(model_name=model)
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    message.raw_input_contents.append(np.array([[1.5, 2.5]], np.float32).tobytes())
    return message.SerializeToString()


def exchange(model: str = "m", size: int = 0) -> Exchange:
    return Exchange(model, request(model), b"live" + b"x" * size, b"reference")


def found(reason: str, cosine: float | None, max_abs: float = 1.0) -> Difference:
    return Difference(reason, "in words", (OutputDifference(name="y", reason=reason, cosine=cosine, max_abs=max_abs),))


def folders(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cases").iterdir()}


def test_a_case_is_kept_with_all_that_repeats_it(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=5, most_bytes=1 << 20)
    cases.offer(exchange(), found("cosine", 0.25))
    (case,) = cases.worst()
    assert case.folder.name == "0001_m_cosine"
    assert (case.folder / "request.bin").read_bytes() == request()
    assert (case.folder / "live.bin").read_bytes() == b"live"
    assert (case.folder / "reference.bin").read_bytes() == b"reference"
    assert json.loads((case.folder / "case.json").read_text())["cosine"] == 0.25
    with np.load(case.folder / "inputs.npz") as inputs:
        assert inputs["x"].dtype == np.float32
        assert inputs["x"].tolist() == [[1.5, 2.5]]


def test_the_worst_stay_and_the_others_files_go(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=3, most_bytes=1 << 20)
    for cosine in (0.9, 0.1, 0.5, 0.99, 0.2, 0.8):
        cases.offer(exchange(), found("cosine", cosine))
    assert [case.cosine for case in cases.worst()] == [0.1, 0.2, 0.5]
    assert folders(tmp_path) == {case.folder.name for case in cases.worst()}


def test_a_flood_of_one_kind_leaves_room_for_the_others(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=4, most_bytes=1 << 20)
    cases.offer(exchange("other"), found("cosine", 0.9))
    for _ in range(20):
        cases.offer(exchange(), found("status", None))
    cases.offer(exchange(), found("argmax", 0.999))
    kinds = {(case.model, case.reason) for case in cases.worst()}
    assert kinds == {("other", "cosine"), ("m", "status"), ("m", "argmax")}
    assert len(cases.worst()) == 4
    assert cases.worst()[0].reason == "status"


def test_the_files_stay_within_their_bytes(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=100, most_bytes=100_000)
    for step in range(20):
        cases.offer(exchange(size=10_000), found("cosine", step / 100))
    cases.offer(exchange(size=200_000), found("cosine", -1.0))
    assert 1 <= len(cases.worst()) <= 4
    assert cases.worst()[0].cosine == 0.0
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.*")) < 100_000


def test_near_answers_are_kept_while_there_is_nothing_worse_equal_ones_never(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=2, most_bytes=1 << 20)
    cases.offer(exchange(), found("", 1.0))
    cases.offer(exchange(), found("", None))
    assert cases.worst() == []
    cases.offer(exchange(), found("", 0.9999))
    assert [case.folder.name for case in cases.worst()] == ["0001_m_agrees"]
    for _ in range(2):
        cases.offer(exchange(), found("values", None))
    assert {case.reason for case in cases.worst()} == {"", "values"}


def test_none_are_kept_if_none_are_wanted(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=0, most_bytes=1 << 20)
    cases.offer(exchange(), found("status", None))
    assert cases.worst() == []


def test_names_of_models_are_no_paths_and_old_cases_go(tmp_path: Path) -> None:
    (tmp_path / "cases" / "0009_old").mkdir(parents=True)
    cases = Cases(tmp_path, most=2, most_bytes=1 << 20)
    cases.offer(exchange("../a b"), found("status", None))
    assert folders(tmp_path) == {"0001_.._a_b_status"}


def test_a_case_that_cannot_be_written_is_not_counted(tmp_path: Path) -> None:
    cases = Cases(tmp_path, most=2, most_bytes=1 << 20)
    (tmp_path / "cases" / "0001_m_status").write_text("in the way")
    with pytest.raises(OSError, match="0001_m_status"):
        cases.offer(exchange(), found("status", None))
    assert cases.worst() == []
