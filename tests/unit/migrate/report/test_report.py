import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from npuserve.migrate.chain.stage import Result, Tell, Workspace
from npuserve.migrate.errors import SetupError
from npuserve.migrate.report import chinese
from support import migration

Report = Callable[..., Path]

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would see: balanced elements, and all that would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.fetched += [tag] if tag in ("script", "link", "iframe", "img") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def failing_with(error: Exception) -> migration.Behaviour:
    def run(workspace: Workspace, folder: Path, tell: Tell) -> Result:
        raise error

    return run


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_needs_nothing_else(report: Report, language: str) -> None:
    folder = report(language)
    assert page(folder).fetched == []
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}


def test_it_tells_the_gates_the_tables_and_how_to_do_it_again(report: Report) -> None:
    folder = report()
    texts = page(folder).texts
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    for text in ("Passed: every gate", "S3 Compare", "0.99999812", "above 0.999", "P99 (ms)", "35.2", "52.3"):
        assert text in texts
        assert text in markdown
    # The stage's word on a version goes before what is installed here.
    assert "2.13.0" in texts
    assert f"cd {Path.cwd()}\nnpuserve migrate --name 'it'\"'\"'s'" in texts
    assert "| server | concurrency | QPS | P50 (ms) |" in markdown
    assert "207.5 s, 12.5 s of them in npuserve itself" in texts


def test_its_drawings_are_in_the_page_and_files_beside_the_markdown(report: Report) -> None:
    folder = report()
    names = {"throughput_p99", "latency_cdf", "error_by_layer", "length_histogram", "padding_waste"}
    assert {path.stem for path in folder.glob("*.svg")} == names
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    for name in names:
        assert f"]({name}.svg)" in markdown
        drawing = ET.parse(folder / f"{name}.svg").getroot()
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert (folder / "report.html").read_text(encoding="utf-8").count("<svg") == len(names)


def test_the_first_bad_layer_is_marked(report: Report) -> None:
    drawing = (report() / "error_by_layer.svg").read_text(encoding="utf-8")
    assert re.findall(r'<g class="bad"><title>([^:]+)', drawing) == ["/encoder/layer.3/Add_29 (Add)"]


def test_a_failed_gate_is_told_with_what_to_try(report: Report) -> None:
    folder = report(S3_compare=migration.failing)
    texts = page(folder).texts
    for text in (
        "Failed at the gate of S3 Compare",
        "S3 Compare: cosine is 0.5, must be above 0.999",
        "keep LayerNorm in fp32",
        "pending",
    ):
        assert text in texts
    assert "S5 Prove" not in re.findall(r"<h2>([^<]+)</h2>", (folder / "report.html").read_text(encoding="utf-8"))
    assert not (folder / "throughput_p99.svg").exists()


def test_a_stopped_stage_is_told_with_what_to_try(report: Report) -> None:
    texts = page(report(S2_compile=failing_with(SetupError("atc is not <there>", "source set_env.sh")))).texts
    for text in ("Stopped in S2 Compile", "S2 Compile: atc is not <there>", "source set_env.sh"):
        assert text in texts


def test_the_fallback_says_that_nothing_is_compiled(report: Report) -> None:
    texts = page(report(fallback=True)).texts
    assert "ONNX Runtime (the fallback): nothing is compiled" in texts
    assert "S2 Compile" not in texts


class Missed(dict[str, str]):
    """Remembers what is asked for and is not there."""

    def __init__(self, texts: Any) -> None:
        super().__init__(texts)
        self.missing: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self.missing.add(key)
        return super().get(key, default)


def test_every_text_of_ours_is_there_in_chinese(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Missed(chinese.CHINESE)
    monkeypatch.setattr("npuserve.migrate.report.words.CHINESE", texts)
    report("zh")
    report("zh", fallback=True)
    report("zh", S3_compare=migration.failing)
    report("zh", S2_compile=failing_with(SetupError("atc is not there")))
    known = {"npuserve", "QPS", "P50", "P95", "P99", "ms", "MB", "ONNX", "OM", ""}
    of_stages = {"max abs error", "what the stage makes", "what was found", "the emulator's atc", "clamp_mask"}
    of_stages |= {"one row", "8 rows at once", "logits", "1×32", "fp32", "int8", "-3.4e38 is -inf in fp16", "relative"}
    names = {text for text in texts.missing if "/" in text or text in {"MatMul", "Add", "LayerNormalization"}}
    names |= {"Erf", "Softmax"}
    assert texts.missing - known - of_stages - names == set()


def test_figures_of_another_make_do_no_harm(report: Report) -> None:
    def odd(workspace: Workspace, folder: Path, tell: Tell) -> Result:
        return Result(
            figures={
                "load": [{"server": "x"}, {"server": None, "concurrency": "1", "qps": None, "p99_ms": float("nan")}],
                "cdf": [{"points": [[1], "x", [1, "y"]]}],
                "lengths": {"1": 2},
                "padding": [1, 2],
                "worst_layers": [{"ulps": {}}, {"name": "<b>&", "cosine": None}],
                "error_by_depth": "none",
                "memory": [],
                "versions": ["torch"],
                "something else": [{"a": {"b": [1, True, None]}, "c": "|*`"}],
                "many": [{"row": row} for row in range(100)],
                "nothing": None,
            }
        )

    folder = report(S1_export=odd, S3_compare=odd, S5_prove=odd)
    texts = page(folder).texts
    assert "<b>&" in texts
    assert "b: 1, yes, " in texts
    assert "40 more are in S1_export/result.json" in texts
    assert "\\|\\*\\`" in (folder / "report.md").read_text(encoding="utf-8")
