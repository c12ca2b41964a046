"""Two programs that launch the same names at the same moment: one has them, the other hears who."""

import asyncio
import re

import pytest

import shoal
from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict
from shoal.messages.schedule import Launched
from shoal.testing import cluster

pytestmark = pytest.mark.timeout(200)


@pytest.mark.parametrize("second", ["vm[1-100]", "vm[50-149]"])
async def test_one_program_wins_and_the_other_hears_who(second):
    """Of two launches at once exactly one succeeds; the other is a Conflict with all taken names and who has them."""
    async with (
        cluster("mm[1-3]") as running,
        shoal.connect(running.url, name="first") as one,
        shoal.connect(running.url, name="second") as other,
    ):
        await one.namespace("red").create()
        wanted = {"first": "vm[1-100]", "second": second}
        outcomes = dict(
            zip(
                wanted,
                await asyncio.gather(
                    one.namespace("red").launch(wanted["first"], VMConfig(tags={"by": "first"})),
                    other.namespace("red").launch(wanted["second"], VMConfig(tags={"by": "second"})),
                    return_exceptions=True,
                ),
                strict=True,
            )
        )
        lost = {name: error for name, error in outcomes.items() if isinstance(error, BaseException)}
        ((loser, refused),) = lost.items()
        (winner,) = set(outcomes) - {loser}
        assert isinstance(refused, Conflict)
        common = 100 if second == wanted["first"] else 51
        assert len(refused.names) == common
        # the winner's may be on their way still
        assert re.match(r"vm already (exists|queued) with name `vm", refused.message)
        assert any(f"ed by {winner}@" in line for line in refused.details)
        assert not any(f"ed by {loser}@" in line for line in refused.details)
        launched = outcomes[winner]
        assert isinstance(launched, Launched)
        assert launched.count == 100
        rows = await one.namespace("red").vms()
        assert len(rows) == len({row.name for row in rows}) == len({row.instance for row in rows}) == 100
        assert {row.config.tags["by"] for row in rows} == {winner}
        assert {row.state for row in rows} == {"BUILDING"}
