"""A group that lives: stations sync, die, are cut off, lag and return while the hub decides once a second.

After each second: no living station that a balancer may still think ready lacks what the group shows (I5). And once
trouble ends, the group reaches the newest generation within bounded time.
"""

import dataclasses
import datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stationmaster.model import protocol, rotation, visibility

LIMITS = rotation.Limits(lag=20.0)
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
CONFIRMED, SAMPLED = 6.0, 4.0  # ha-protocol R2: how long a station stays ready unheard, and until balancers know


@dataclasses.dataclass
class Host:
    name: str
    held: set[str] = dataclasses.field(default_factory=set)
    is_alive: bool = True
    is_cut: bool = False
    is_slow: bool = False
    told: protocol.Visible | None = None
    is_in_rotation: bool = True
    answered_at: float = -1000.0
    ready_until: float = -1000.0
    finished: int = 0
    report: frozenset[str] = frozenset()
    behind_since: float | None = None
    excluded_since: float | None = None

    def is_ready(self, now: float) -> bool:
        holds = self.told is None or self.told.generation in self.held
        return self.is_alive and holds and self.is_in_rotation and now - self.answered_at <= CONFIRMED


class World:
    def __init__(self, count: int) -> None:
        self.now = 100.0
        self.hosts = [Host(f"s{index}") for index in range(count)]
        self.visible: protocol.Visible | None = None
        self.upstream = 0
        self.sync_number, self.raised_at = 1, 0.0
        self.orphaned_since: float | None = None
        self.first_seen: dict[str, float] = {}

    def second(self) -> None:
        self.now += 1
        for host in self.hosts:
            if host.is_alive:
                self.work_and_beat(host)
        self.decide()
        for host in self.hosts:
            if host.is_ready(self.now):
                host.ready_until = self.now + SAMPLED

    def work_and_beat(self, host: Host) -> None:
        if not host.is_slow and host.finished < self.sync_number and int(self.now) % 3 == 0:
            host.held.add(f"g{self.upstream}")
            host.finished = self.sync_number
        if int(self.now) % 2 == 0 and not host.is_cut:
            host.report = frozenset(host.held)
            host.answered_at = self.now
            host.told = self.visible
            host.is_in_rotation = host.excluded_since is None

    def decide(self) -> None:
        facts = self.snapshot()
        decision = visibility.decide(facts, LIMITS)
        newest = rotation.newest_held(facts, LIMITS)
        for host in self.hosts:
            lacks = newest is not None and newest.id not in host.report and self.now - host.answered_at <= 10
            host.behind_since = (host.behind_since or self.now) if lacks else None
            is_out = lacks and host.name in decision.excluded
            host.excluded_since = (host.excluded_since or self.now) if is_out else None
        gone = self.visible is not None and not rotation.holders_in_touch(facts, self.visible.generation, LIMITS)
        self.orphaned_since = (self.orphaned_since or self.now) if gone else None
        if decision.verdict is visibility.Verdict.RESYNC:
            self.raise_sync()
        self.visible = decision.visible

    def raise_sync(self) -> None:
        self.sync_number, self.raised_at = self.sync_number + 1, self.now

    def snapshot(self) -> rotation.Snapshot:
        known = sorted({one for host in self.hosts for one in host.report})
        for one in known:
            self.first_seen.setdefault(one, self.now)
        return rotation.Snapshot(
            source_id="s",
            visible=self.visible,
            generations={
                one: rotation.Generation(
                    one,
                    START + datetime.timedelta(seconds=self.first_seen[one]),
                    START + datetime.timedelta(hours=int(one[1:])),
                )
                for one in self.first_seen
            },
            stations=tuple(self.station(host) for host in self.hosts),
            sync_number=self.sync_number,
            since_sync_raised=self.now - self.raised_at,
            orphaned_seconds=self.now - self.orphaned_since if self.orphaned_since is not None else 0.0,
        )

    def station(self, host: Host) -> rotation.Station:
        behind = self.now - host.behind_since if host.behind_since is not None else 0.0
        others_in = any(one is not host and one.excluded_since is None for one in self.hosts)
        return rotation.Station(
            id=host.name,
            silent_seconds=self.now - host.answered_at,
            held=host.report,
            fetchable=host.report,
            shown=host.told if host.told and host.told.generation in host.report else None,
            stalled_seconds=behind,
            behind_seconds=behind,
            excluded_seconds=self.now - host.excluded_since if host.excluded_since is not None else None,
            finished_sync=host.finished,
            is_last=not others_in,
        )

    def check(self) -> None:
        """I5 where clients see it: through balancers that may be late by their check window."""
        if self.visible is None:
            return
        for host in self.hosts:
            if host.is_alive and host.ready_until >= self.now:
                assert self.visible.generation in host.held, (self.now, host, self.visible)


actions = st.sampled_from(["release", "kill", "return", "cut", "mend", "slow", "quick", "wait"])


# Told to leave and cut off in the same second: it hears nothing, and counts for a whole liveness period more.
@example(count=2, story=[("slow", 0, 22), ("cut", 0, 10)])
@settings(max_examples=100, deadline=None)
@given(count=st.integers(1, 3), story=st.lists(st.tuples(actions, st.integers(0, 2), st.integers(1, 30)), max_size=25))
def test_i5_holds_whatever_happens_and_the_group_comes_back(count: int, story: list[tuple[str, int, int]]) -> None:
    world = World(count)
    for action, which, seconds in story:
        host = world.hosts[which % count]
        if action == "release":
            world.upstream += 1
            world.raise_sync()
        host.is_alive = {"kill": False, "return": True}.get(action, host.is_alive)
        host.is_cut = {"cut": True, "mend": False}.get(action, host.is_cut)
        host.is_slow = {"slow": True, "quick": False}.get(action, host.is_slow)
        for _ in range(seconds):
            world.second()
            world.check()
    for host in world.hosts:
        host.is_alive, host.is_cut, host.is_slow = True, False, False
    for _ in range(200):
        world.second()
        world.check()
    assert world.visible is not None
    assert world.visible.generation == f"g{world.upstream}"
    assert all(host.is_ready(world.now) for host in world.hosts)
