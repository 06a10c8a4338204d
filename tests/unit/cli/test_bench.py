"""Flags of `npuserve bench` that contradict each other, and what it shows."""

from typing import Any

import pytest
from npuserve.cli import bench
from npuserve.cli.bench_report import as_table, live_line
from npuserve.cli.main import main
from npuserve.core.dtype import Dtype
from npuserve.migrate.load import Failure, Histogram, LoadReport, ModelInterface, Progress, Window
from npuserve.migrate.load.interface import Input

MODEL = ModelInterface("m", (Input("x", Dtype.FP32, (-1, 2)),), batches=True, is_decoupled=False)


def window(**changes: Any) -> Window:
    histogram = Histogram.of([1_000_000] * 98 + [5_000_000] * 2)
    given: dict[str, Any] = {
        "seconds": 0.5,
        "latency": histogram,
        "service": histogram,
        "sent": 100,
        "sent_bytes": 1,
        "received_bytes": 1,
        "failures": (),
        "behind_seconds": 0.0,
        "client_cores": 0.1,
    }
    return Window(**{**given, **changes})


def report(measured: Window, **changes: Any) -> LoadReport:
    given: dict[str, Any] = {
        "model": "m",
        "protocol": "grpc",
        "concurrency": 8,
        "request_rate": None,
        "processes": 1,
        "connections": 2,
        "rows": 2.0,
        "measured": measured,
        "windows": (measured,),
        "stable": True,
        "unanswered": 0,
    }
    return LoadReport(**{**given, **changes})


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--concurrency=2", "--request-rate=5"], "--concurrency and --request-rate cannot both be given"),
        (["--distribution=constant"], "--distribution is of --request-rate"),
        (["--in-flight=5"], "--in-flight is of --request-rate"),
        (["--streaming", "--protocol=http"], "--streaming is of gRPC"),
        (["--tokenizer=t.json"], "--tokenizer is of --texts"),
        (["--max-length=8"], "--max-length is of --texts"),
        (["--texts=f", "--tokenizer=t", "--max-length=0"], "--max-length must be at least 1"),
        (["--input=f", "--shape=x:1"], "--shape is of made-up tensors"),
        (["--batch=0"], "--batch must be at least 1"),
        (["--concurrency=1.5"], "--concurrency takes whole numbers, got '1.5'"),
        (["--concurrency=a"], "expected a number"),
        (["--header=x"], "--header takes NAME:VALUE, got 'x'"),
        (["--url=here"], "expected the server as HOST:PORT, got 'here'"),
        (["--url=here:0"], "expected the server as HOST:PORT, got 'here:0'"),
    ],
)
def test_a_contradiction_is_one_sentence_and_nothing_is_sent(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--model=m", *flags]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--input=/none"], "cannot read /none: No such file or directory"),
        (["--input=/dev/null"], "/dev/null is empty"),
        (["--lengths=@/dev/null"], "the sample is empty"),
        (["--lengths=4,x"], "--lengths, line 2: expected an integer"),
        (["--shape=x"], "--shape takes NAME:D,..."),
        (["--shape=y:2"], "model 'm' has no input 'y', only x"),
        (["--processes=3"], "3 processes cannot share 1 requests in flight"),
        (["--stability=0"], "the stability must be above 0"),
    ],
)
def test_what_cannot_be_sent_is_one_sentence(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "describe", lambda *_, **__: MODEL)
    assert main(["bench", "--model=m", *flags]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1


def test_two_data_sets_and_unknown_flags_are_the_parsers(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--input=a", "--texts=b"], ["--concurency=1"], ["--protocol=smtp"]):
        with pytest.raises(SystemExit) as ended:
            main(["bench", "--model=m", *flags])
        assert ended.value.code == 1
    assert "did you mean --concurrency?" in capsys.readouterr().err


def test_the_table_has_rates_percentiles_errors_and_warnings() -> None:
    failures = (Failure("UNAVAILABLE", 3, "full\nof it"),)
    good = report(window())
    bad = report(window(failures=failures, client_cores=0.97, behind_seconds=2.0), request_rate=300.0, unanswered=2)
    text = "\n".join(as_table([good, bad]))
    assert "| concurrency 8  | 200.0      | 400.0  | 1.000  | 1.000  | 5.000  | 5.000  | 0      |" in text
    assert "300 requests/s: 3 × UNAVAILABLE: full of it" in text
    assert "300 requests/s: 2 requests were not answered within 2 s of the end" in text
    assert "warning: 300 requests/s: the client itself was busy all the time; give it more --processes" in text
    assert "warning: 300 requests/s: requests left 2.0 s late" in text
    assert "warning: concurrency 8" not in text


def test_the_table_of_a_load_without_an_answer_has_no_numbers_for_its_latency() -> None:
    empty = report(window(latency=Histogram.of([]), service=Histogram.of([])), stable=False)
    text = "\n".join(as_table([empty]))
    assert "| 0.0        | 0.0    | -      | -      | -      | -      |" in text
    assert "warning: concurrency 8: the windows do not agree" in text


def test_the_live_line_says_where_it_is_and_what_it_sees() -> None:
    warming = Progress(window=0, max_windows=10, latest=window())
    assert live_line("concurrency 8", warming) == (
        "concurrency 8: warming up: 200 requests/s, P50 1.000 ms, P99 5.000 ms"
    )
    counting = Progress(window=2, max_windows=10, latest=window(failures=(Failure("connection", 1, ""),)))
    assert live_line("9/s", counting).startswith("9/s: window 2 of at most 10: ")
    assert live_line("9/s", counting).endswith(", 1 failed")
