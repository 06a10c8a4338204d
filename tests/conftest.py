"""What holds for every test: Ctrl-C reaches this process and those that it starts."""

import signal


def pytest_configure() -> None:
    """Undo what a shell did that started the tests in the background: their children would ignore SIGINT, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
