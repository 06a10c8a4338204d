"""What was done at once where it might have taken time."""

from collections.abc import Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ready(Generic[T]):
    """An awaitable whose result is there already: whoever looks needs no turn of the loop.

    It does not inherit from `Awaitable`, as asking whether something is a subclass's is slow with abstract classes.
    """

    __slots__ = ("result",)

    def __init__(self, result: T) -> None:
        self.result = result

    def __await__(self) -> Generator[Any, None, T]:
        return self.result
        yield
