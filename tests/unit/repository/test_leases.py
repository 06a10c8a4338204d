import asyncio

import pytest
from npuserve.repository.leases import Leases


async def test_the_end_waits_for_every_holder() -> None:
    leases = Leases()
    with leases.hold():
        with leases.hold():
            ending = asyncio.create_task(leases.end())
            await asyncio.sleep(0)
            assert leases.is_ended
        await asyncio.sleep(0)
        assert not ending.done()
    await asyncio.wait_for(ending, 10)
    assert repr(leases) == "<Leases count=0 ended=True>"


async def test_a_holder_that_fails_lets_go() -> None:
    leases = Leases()
    with pytest.raises(KeyError), leases.hold():
        raise KeyError
    await asyncio.wait_for(leases.end(), 10)
