import io

import pytest
from progress import Progress, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal_ends_full_with_its_note() -> None:
    stream = Terminal()
    with Progress("building", 2, stream) as bar:
        bar.advance()
        bar.advance(note="ready")
    last = stream.getvalue().rsplit("\r", 1)[1]
    assert "building" in last
    assert "100%" in last
    assert last.rstrip().endswith("ready")


def test_a_step_in_a_log_says_when_it_began_and_that_it_failed() -> None:
    stream = io.StringIO()
    with pytest.raises(OSError, match="disk"), Progress("building", 1, stream):
        raise OSError("disk")
    first, last = stream.getvalue().splitlines()
    assert first == "building ..."
    assert last.startswith("building failed, ")


def test_tracked_items_need_a_length_or_a_total() -> None:
    assert list(track(iter("ab"), "letters", total=2)) == ["a", "b"]
    with pytest.raises(TypeError, match="total"):
        list(track(iter("ab"), "letters"))
