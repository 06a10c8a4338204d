"""What holds for every test: Ctrl-C reaches this process and those that it starts, and a busy machine fails none."""

import signal

from hypothesis import settings

# By default an example that takes longer than 200 ms fails.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Undo what a shell did that started the tests in the background: their children would ignore SIGINT, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
