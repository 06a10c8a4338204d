"""Command line parsing as Triton does it: `--flag value` or `--flag=value`, wrong ones end with usage and code 1."""

import argparse
import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
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
    """Refuses a flag of Triton's whose effect a user relies on and that is not there, but for `harmless` values."""

    def __init__(self, *, harmless: Collection[str], **settings: Any) -> None:
        super().__init__(**settings)
        self._harmless = harmless

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if str(values).lower() not in self._harmless:
            parser.error(f"{option_string}={values} is not supported by npuserve")


def boolean(text: str) -> bool:
    """Read a boolean as Triton does. Raises ArgumentTypeError."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got '{text}'")


def unrecognized(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> str:
    """Return the message for arguments that the parser does not know, with the nearest flag if one is near."""
    known = [name for name in parser._option_string_actions if name.startswith("--")]
    first = arguments[0].partition("=")[0]
    near = difflib.get_close_matches(first, known, n=1)
    return f"unrecognized arguments: {' '.join(arguments)}" + (f" (did you mean {near[0]}?)" if near else "")


def add_flag(parser: argparse._ActionsContainer, name: str, default: bool | None, text: str) -> None:
    """Add a boolean flag; given without a value it is true."""
    parser.add_argument(name, type=boolean, nargs="?", const=True, default=default, metavar="BOOL", help=text)


def add_without_effect(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add flags that are accepted, in `without_effect` of the result."""
    for name in names:
        parser.add_argument(name, nargs="?", action=_Warn, help=argparse.SUPPRESS, dest="without_effect", default=[])


def add_refused(parser: argparse.ArgumentParser, harmless: Mapping[str, Collection[str]]) -> None:
    """Add flags that are known and refused, but for the values that ask for nothing."""
    for name, values in harmless.items():
        parser.add_argument(
            name, nargs="?", action=_Refuse, harmless=values, help=argparse.SUPPRESS, dest=argparse.SUPPRESS
        )
