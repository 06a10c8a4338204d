"""The server's memory and open files while a load runs."""

import asyncio
import statistics
from dataclasses import dataclass, field

from benchmarks.server import open_files, rss_bytes

FIFTHS = 5


@dataclass
class Watch:
    """Samples of one process, once a second, until it is cancelled."""

    pid: int
    interval: float = 1.0
    rss: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    async def run(self) -> None:
        """Sample."""
        while True:
            self.rss.append(rss_bytes(self.pid))
            self.files.append(open_files(self.pid))
            await asyncio.sleep(self.interval)

    def growth_ratio(self) -> float:
        """Return the median memory of the last fifth of the time over that of the second; the first warms up."""
        length = max(len(self.rss) // FIFTHS, 1)
        return statistics.median(self.rss[-length:]) / statistics.median(self.rss[length : 2 * length] or self.rss)
