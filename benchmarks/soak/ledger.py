"""What became of every well-formed request."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Tally:
    """The requests of one subject: a model, or what else calls are about.

    answered: by the right answer. given_up: cancelled, expired or disconnected by the client's own doing.
    """

    sent: int = 0
    answered: int = 0
    given_up: int = 0
    wrong: int = 0

    @property
    def unanswered(self) -> int:
        """Return how many are still open, or were lost."""
        return self.sent - self.answered - self.given_up - self.wrong


@dataclass
class Ledger:
    """Tallies by subject, and a sentence for each wrong answer."""

    tallies: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    mistakes: list[str] = field(default_factory=list)

    def send(self, subject: str) -> None:
        """Note a request before its last byte leaves."""
        self.tallies[subject].sent += 1

    def answer(self, subject: str, mistake: str = "") -> None:
        """Note an answer; `mistake` says what is wrong with it."""
        if mistake:
            self.tallies[subject].wrong += 1
            self.mistakes.append(f"{subject}: {mistake}")
        else:
            self.tallies[subject].answered += 1

    def give_up(self, subject: str) -> None:
        """Note that a request ended as its client wished, without its answer."""
        self.tallies[subject].given_up += 1

    @property
    def sent(self) -> int:
        """Return the number of well-formed requests."""
        return sum(tally.sent for tally in self.tallies.values())

    @property
    def unanswered(self) -> int:
        """Return how many requests had no end."""
        return sum(tally.unanswered for tally in self.tallies.values())
