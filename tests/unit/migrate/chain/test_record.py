import json
import math
from pathlib import Path

import numpy as np
from npuserve.migrate.chain.gates import Check
from npuserve.migrate.chain.record import Record, plain, read_record, write_record
from npuserve.migrate.chain.stage import Result


def record(result: Result) -> Record:
    return Record(
        title="Export",
        fingerprint="f",
        after={"S1_export": "a"},
        run="r",
        started="2026-01-01T00:00:00+00:00",
        npuserve="1",
        result=result,
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = record(
        Result(
            checks=[Check(name="cosine", value=0.5, sense="above", limit=0.9, unit="points")],
            artifacts={"model.onnx": "the graph"},
            commands=["atc --model=模型.onnx"],
            figures={"load": [{"qps": 1.5}]},
            seconds=2.0,
        )
    )
    write_record(tmp_path, given)
    found = read_record(tmp_path)
    assert found is not None
    assert (found.run, found.after, found.result.seconds) == ("r", {"S1_export": "a"}, 2.0)
    assert list(found.result.checks) == list(given.result.checks)
    assert found.result.figures == given.result.figures
    assert found.result.commands == ["atc --model=模型.onnx"]


def test_a_value_that_is_no_number_does_not_pass_after_reading_either(tmp_path: Path) -> None:
    write_record(tmp_path, record(Result(checks=[Check(name="c", value=math.nan, sense="above", limit=-math.inf)])))
    # Other programs read it, too.
    json.loads((tmp_path / "result.json").read_text(), parse_constant=lambda text: 1 / 0)
    found = read_record(tmp_path)
    assert found is not None
    assert math.isnan(found.result.checks[0].value)
    assert found.result.checks[0].limit == -math.inf
    assert not found.result.passed


def test_what_numpy_and_paths_are_becomes_plain() -> None:
    given = {"a": np.float32(0.5), "b": np.arange(2), "c": Path("/x"), "d": (1, True), 3: math.inf}
    assert plain(given) == {"a": 0.5, "b": [0, 1], "c": "/x", "d": [1, True], "3": "inf"}
