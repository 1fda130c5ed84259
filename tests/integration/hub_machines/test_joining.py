"""R8: a hub from a backup calls no station an equal that was away while its peers went on."""

from typing import Any

import pytest
import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.model import protocol


@pytest.fixture
def restored(fleet: Any, group: Any) -> Any:
    """A shows number 2; the hub comes back from a backup of number 1, and has heard nobody yet."""
    for generation in ("g1", "g2"):
        for station in (group.a, group.b):
            station.held[group.source.id] = [generation] if generation == "g1" else ["g1", "g2"]
        for _ in range(4):
            group.beat()
            fleet.tick(2)
            group.beat()
    assert [one.number for one in group.a.visible] == [2]
    with fleet.live.hub.store.write() as tx:
        tx.execute(schema.visible.delete().where(schema.visible.c.number == 2))
        tx.execute(sa.delete(schema.candidates))
    fleet.live.clock.shift += 60
    fleet.live.hub.settling.unsettle()
    fleet.live.hub.settling.listened_seconds(fleet.live.hub.clock)
    group.b.readiness = protocol.Readiness.LAST_RESORT
    return group


def test_one_that_was_away_joins_only_when_all_were_heard(restored: Any) -> None:
    restored.b.visible = [one for one in restored.b.visible if one.number == 1]
    assert not restored.b.beat().is_in_rotation, "A was not heard yet"
    told = restored.a.visible
    assert restored.a.beat().is_in_rotation, "who is ready stays so"
    restored.a.visible = told
    restored.b.visible = []
    assert not restored.b.beat().is_in_rotation, "A shows what the hub does not know"


def test_it_joins_at_once_when_nobody_knows_more(fleet: Any, group: Any) -> None:
    fleet.live.clock.shift += 60
    fleet.live.hub.settling.unsettle()
    fleet.live.hub.settling.listened_seconds(fleet.live.hub.clock)
    group.a.readiness = group.b.readiness = protocol.Readiness.LAST_RESORT
    assert not group.b.beat().is_in_rotation
    group.a.beat()
    assert group.b.beat().is_in_rotation, "long before the hub decides anything"
