"""Command line parsing as Triton does it: `--flag value` or `--flag=value`, wrong ones end with usage and code 1."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

_TRUE = ("true", "on", "1")
_FALSE = ("false", "off", "0")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations, whose errors exit with 1."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message to stderr, exit with 1."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: error: {message}\n")


class _Warn(argparse.Action):
    """Accepts a flag of Triton's that has no effect here, and remembers that it was given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.without_effect = [*getattr(namespace, "without_effect", []), option_string]


class _Refuse(argparse.Action):
    """Refuses a flag of Triton's whose effect a user relies on and that is not there."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        parser.error(f"{option_string} is not supported by this version of npuserve")


def boolean(text: str) -> bool:
    """Read a boolean as Triton does. Raises ArgumentTypeError."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got '{text}'")


def add_flag(parser: argparse.ArgumentParser, name: str, default: bool, text: str) -> None:
    """Add a boolean flag; given without a value it is true."""
    parser.add_argument(name, type=boolean, nargs="?", const=True, default=default, metavar="BOOL", help=text)


def add_without_effect(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add flags that are accepted, in `without_effect` of the result."""
    for name in names:
        parser.add_argument(name, nargs="?", action=_Warn, help=argparse.SUPPRESS, dest="without_effect", default=[])


def add_refused(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add flags that are known and refused."""
    for name in names:
        parser.add_argument(name, nargs="?", action=_Refuse, help=argparse.SUPPRESS, dest=argparse.SUPPRESS)
