"""Groups and budgets worth exploring: each asks one question that the others do not."""

from __future__ import annotations

import dataclasses

from stationmaster.testing.exploration import world
from stationmaster.testing.exploration.state import Budget, World, changed

_OTHERS = frozenset({"g0"})


@dataclasses.dataclass(frozen=True)
class Scenario:
    """``volumes`` names the volume of each station; the rest as in `world.first`."""

    volumes: tuple[int, ...]
    budget: Budget
    sources: int = 1
    processes: int = 1
    absent: frozenset[int] = frozenset()
    elsewhere: frozenset[str] = frozenset()

    def start(self, faults: int | None = None) -> World:
        """Where it begins, with another number of faults when one is given."""
        budget = self.budget if faults is None else changed(self.budget, faults=faults)
        return world.first(
            self.volumes,
            budget,
            sources=self.sources,
            processes=self.processes,
            absent=self.absent,
            elsewhere=self.elsewhere,
        )


SCENARIOS = {
    "own": Scenario((0, 1), Budget(faults=2, releases=1)),
    "shared": Scenario((0, 0), Budget(faults=2, releases=1)),
    "three": Scenario((0, 0, 1), Budget(faults=1, releases=1)),
    "removals": Scenario((0, 1), Budget(faults=1, releases=2, removals=1)),
    "shared removals": Scenario((0, 0), Budget(faults=1, releases=2, removals=1), elsewhere=_OTHERS),
    "lost files": Scenario((0, 1), Budget(faults=1, releases=1, losses=1)),
    "backups": Scenario((0, 1), Budget(faults=1, releases=2, backups=1)),
    "replicas": Scenario((0, 1), Budget(faults=1, releases=1), processes=2),
    "two sources": Scenario((0, 1), Budget(faults=1, releases=1, removals=1), sources=2),
    "broken source": Scenario((0, 1), Budget(releases=1, breaks=1), sources=2),
    "members": Scenario((0, 1), Budget(faults=1, releases=1, moves=1)),
    "newcomer": Scenario((0, 0, 1), Budget(releases=1, moves=2), absent=frozenset({2})),
}
