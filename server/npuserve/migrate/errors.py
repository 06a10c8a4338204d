"""The one exception of the room."""


class PlanError(Exception):
    """What was given cannot be planned for. The text is one sentence for the user."""
