import io
import threading

from npuserve.migrate.chain.progress import Progress
from pytest import MonkeyPatch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Drawn(Terminal):
    """Says when a text has been drawn."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self._awaited = awaited
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        if self._awaited in text:
            self.seen.set()
        return super().write(text)


def test_a_terminal_has_one_line_that_is_drawn_again_until_the_stage_ends() -> None:
    stream = Drawn("compiling 4 x 64")
    progress = Progress(stream)
    with progress.stage("2/5 S2 compile"):
        progress.tell("compiling 4 x 64")
        assert stream.seen.wait(30)
    progress.ended("2/5 S2 compile", "passed", 1.25)
    drawn = stream.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.endswith("\r\x1b[2K2/5 S2 compile   passed      1.2 s\n")


def test_a_log_gets_a_line_a_stage_and_one_now_and_then(monkeypatch: MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("npuserve.migrate.chain.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.stage("1/5 S1 export"):
        for second in range(12):
            now[0] = 100.0 + second
            progress.tell(f"sample {second}")
    progress.ended("1/5 S1 export", "passed", 12.0)
    assert stream.getvalue().splitlines() == [
        "1/5 S1 export ...",
        "1/5 S1 export       5.0 s  sample 5",
        "1/5 S1 export      10.0 s  sample 10",
        "1/5 S1 export    passed     12.0 s",
    ]
