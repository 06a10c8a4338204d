"""Plain values that are made for every request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Make a dataclass that type checkers hold to be frozen.

    Freezing at run time too would make each field's first assignment a call: three times the cost of an object, and a
    request makes dozens.
    """

    def decorate(cls: type[T]) -> type[T]:
        return dataclass(slots=True, kw_only=kw_only)(cls)

    return decorate
