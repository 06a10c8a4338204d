from collections.abc import Iterator

import pytest
from support import migration


@pytest.fixture(autouse=True)
def _plain_stages() -> Iterator[None]:
    yield
    migration.BEHAVIOURS.clear()
    migration.FINGERPRINTS.clear()
