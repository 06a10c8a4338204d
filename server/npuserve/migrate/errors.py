"""What the room raises."""


class PlanError(Exception):
    """What was given cannot be planned for. The text is one sentence for the user."""


class MigrationError(Exception):
    """A stage cannot go on: one sentence, what is wrong and what would be right. advice: what to try, best first."""

    def __init__(self, message: str, *advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class SetupError(MigrationError):
    """The machine lacks something: a package, a tool, room on the disk, a permission."""
