"""Checks of single settings, whose messages name the setting, the range and what came."""

from collections.abc import Sequence

from npuserve.migrate.errors import MigrationError


def check_range(name: str, value: float, least: float, most: float | None = None) -> None:
    """Raise MigrationError for a value out of range, and for NaN."""
    if most is None:
        if not value >= least:
            raise MigrationError(f"{name} must be at least {least:g}, got {value:g}")
    elif not least <= value <= most:
        raise MigrationError(f"{name} must be {least:g} to {most:g}, got {value:g}")


def check_one_of(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise MigrationError for a word that is not among the choices."""
    if value not in choices:
        raise MigrationError(f"{name} must be {' or '.join(choices)}, got '{value}'")
