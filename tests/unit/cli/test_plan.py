"""`npuserve plan`: what it prints and writes, and what it refuses."""

import io
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from npuserve.cli.main import main
from npuserve.observability.exposition import Family, Sample, histogram, render

RECORDED = render(
    [
        Family(
            name="npu_request_length",
            kind="histogram",
            help="x",
            samples=histogram({"model": "m", "version": "1"}, (8, 16, 24), [6, 2, 1, 0], 70),
        ),
        Family(
            name="npu_gear_cost_us",
            kind="gauge",
            help="x",
            samples=[
                Sample({"model": "m", "version": "1", "gear": f"{rows}x{length}"}, 40.0 + 2 * rows * length)
                for rows in (1, 4)
                for length in (8, 24)
            ],
        ),
    ]
)


@pytest.fixture
def lengths(tmp_path: Path) -> Path:
    """Ninety rows of 9, ten of 30."""
    path = tmp_path / "lengths.txt"
    path.write_text("9\n" * 90 + '{"length": 30}\n' * 10)
    return path


@pytest.fixture
def server() -> Iterator[str]:
    """Answers /metrics as an npuserve that has recorded lengths, anything else with 404."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(RECORDED)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    listening = HTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_proposals_are_printed_with_the_flags_of_the_recommended_one(
    lengths: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--lengths", str(lengths), "--max-batch", "2", "--compare", "16,64"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sample: 100 rows of 11.1 tokens on average, at most 30; half have at most 9, 99 % at most 30",
        "batches: 1,2; 100 gears leave room for 50 lengths",
        "cost of an execution: 0 + rows × length × (1 + 0 × length) tokens",
        "+-------+---------+-------+-------+-------+---------------+",
        "|       | lengths | gears | waste | cost  | which lengths |",
        "+-------+---------+-------+-------+-------+---------------+",
        "|       | 1       | 2     | 65.3% | 1.000 | 32            |",
        "| *     | 2       | 4     | 36.9% | 0.550 | 16,32         |",
        "| given | 2       | 4     | 46.6% | 0.650 | 16,64         |",
        "+-------+---------+-------+-------+-------+---------------+",
        "* recommended: the fewest lengths that cost at most 5% more than the best",
        "",
        "flags for atc, for 16,32:",
        "  --input_format=ND",
        "  '--input_shape=input_ids:-1,-1;attention_mask:-1,-1'",
        "  '--dynamic_dims=1,16,1,16;1,32,1,32;2,16,2,16;2,32,2,32'",
        "config.pbtxt:",
        "  max_batch_size: 2",
        "config.pbtxt of an ONNX model, also:",
        '  parameters { key: "gears" value { string_value: "1,2 x 16,32" } }',
    ]


def test_another_proposal_can_be_chosen_and_inputs_be_named(lengths: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--batches", "4,1", "--choose", "1", "--input-names", "ids", "--align", "1"]
    assert main(["plan", "--lengths", str(lengths), *flags]) == 0
    printed = capsys.readouterr().out
    assert "  --input_shape=ids:-1,-1\n  '--dynamic_dims=1,30;4,30'\n" in printed
    assert "  max_batch_size: 4\n" in printed


def test_all_proposals_are_written_as_json(lengths: Path, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert main(["plan", "--lengths", str(lengths), "--max-batch", "1", "--align", "1", "--json", str(file)]) == 0
    written = json.loads(file.read_text())
    assert written["sample"] == {"rows": 100, "tokens": 1110, "shortest": 9, "longest": 30}
    assert written["recommended"] == 1
    assert written["compared"] is None
    assert written["proposals"][1] == {
        "batches": [1],
        "lengths": [9, 30],
        "gears": [[1, 9], [1, 30]],
        "run_tokens": 1110,
        "waste": 0,
        "cost": pytest.approx(1110 / 3000),
        "atc_flags": [
            "--input_format=ND",
            "--input_shape=input_ids:-1,-1;attention_mask:-1,-1",
            "--dynamic_dims=1,9,1,9;1,30,1,30",
        ],
        "gears_parameter": "1 x 9,30",
    }


def test_the_plan_is_drawn(lengths: Path, tmp_path: Path) -> None:
    assert main(["plan", "--lengths", str(lengths), "--plot", str(tmp_path / "plan.png")]) == 0
    assert (tmp_path / "plan.png").stat().st_size > 0


def test_lengths_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("5\n7\n"))
    assert main(["plan", "--lengths", "-"]) == 0
    assert capsys.readouterr().out.startswith("sample: 2 rows of 6.0 tokens")


def test_texts_are_counted_by_the_models_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "texts.txt").write_text("one\n\none two three\n")
    flags = ["--texts", str(tmp_path / "texts.txt"), "--tokenizer", str(tmp_path / "tokenizer.json")]
    assert main(["plan", *flags]) == 0
    assert capsys.readouterr().out.startswith("sample: 2 rows of 2.0 tokens on average, at most 3;")


def test_a_running_server_tells_what_it_has_recorded_and_measured(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--from", f"{server}/metrics", "--model", "m", "--max-batch", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("sample: 9 rows of 7.8 tokens on average, at most 24;")
    assert "cost of an execution: 40 + rows × length × (2 + 0 × length) µs, as measured\n" in printed
    assert "'--dynamic_dims=1,8,1,8;1,16,1,16;1,24,1,24'" in printed


def test_costs_that_flags_tell_go_before_measured_ones(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--from", f"{server}/metrics", "--hidden-size", "100", "--cost-per-execution", "50"]) == 0
    formula = "cost of an execution: 50 + rows × length × (1 + 0.001667 × length) tokens\n"
    assert formula in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "flags", "reason"),
    [
        ("", (), "the sample is empty: at least one length is needed"),
        ("4\n-5\n", (), "{file}, line 2: the length -5 is not positive"),
        ("4\nfive\n", (), "{file}, line 2: expected an integer or a JSON object with the field 'length', got 'five'"),
        ("4\n99\n", ("--max-length", "64"), "{file}, line 2: the length 99 is above --max-length 64"),
        ("4\n", ("--max-gears", "101"), "--max-gears must be 1 to 100, got 101"),
        (
            "4\n",
            ("--max-gears", "2"),
            "--max-gears 2 is less than the 6 batch sizes 1,2,4,8,16,32: allow more gears, or",
        ),
        ("4\n", ("--hidden-size", "0"), "--hidden-size must be at least 1, got 0"),
        ("4\n", ("--compare", "2"), "the sample has a row of length 4, beyond the longest gear, 2"),
        ("4\n", ("--choose", "2"), "--choose must be 1 to 1, the proposals that there are, got 2"),
        ("4\n", ("--tokenizer", "t.json"), "--tokenizer counts the tokens of --texts, which is not given"),
        ("4\n", ("--model", "m"), "--model chooses among those of --from, which is not given"),
        ("4\n", ("--plot", "absent/x.png"), "--plot: cannot write absent/x.png: "),
        ("4\n", ("--json", "absent/x.json"), "--json: cannot write absent/x.json: No such file or directory"),
    ],
)
def test_what_cannot_be_planned_for_ends_with_a_sentence_and_code_2(
    text: str, flags: tuple[str, ...], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lengths.txt"
    file.write_text(text)
    assert main(["plan", "--lengths", str(file), *flags]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"npuserve plan: error: {reason.format(file=file)}")
    assert told.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, reason in (("absent", "cannot read {}: No such file"), ("binary", "{} is not UTF-8 text: ")):
        assert main(["plan", "--lengths", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.startswith(f"npuserve plan: error: {reason.format(tmp_path / name)}")
    assert main(["plan", "--texts", str(tmp_path / "absent")]) == 2
    assert "--texts needs --tokenizer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "flags", "reason"),
    [
        ("/metrics", ("--model", "x"), "there are no lengths of model 'x', only of m"),
        ("/nothing", (), "the server answered 404 Not Found"),
    ],
)
def test_a_server_that_has_no_lengths_is_named(
    path: str, flags: tuple[str, ...], reason: str, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--from", server + path, *flags]) == 2
    assert capsys.readouterr().err == f"npuserve plan: error: {server}{path}: {reason}\n"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost:8002/metrics", "expected a URL as http://HOST:8002/metrics"),
        ("file:///etc/passwd", "expected a URL as http://HOST:8002/metrics"),
        ("http://127.0.0.1:1/metrics", "cannot be read: "),
        ("http://127.0.0.1:x/metrics", "cannot be read: "),
    ],
)
def test_a_url_that_leads_nowhere_is_named(url: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--from", url]) == 2
    assert capsys.readouterr().err.startswith(f"npuserve plan: error: {url}: {reason}")


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--lengths", "a", "--from", "http://b"],
        ["--lengths", "a", "--batches", "x"],
        ["--lengths", "a", "--length"],
    ],
)
def test_a_wrong_command_line_ends_with_usage_and_code_1(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan", *flags])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("usage: npuserve plan (--lengths FILE | --texts FILE")
