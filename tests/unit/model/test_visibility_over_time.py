"""A group that lives: one leads, others copy; they die, are cut off, lag and return while the hub decides each second.

After each second: no living station that a balancer may still think ready lacks what the group shows (I5). And once
trouble ends, the group reaches the newest generation within bounded time.
"""

import dataclasses
import datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stationmaster.model import candidates, copying, leadership, protocol, rotation, visibility

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
    token: int = 0
    leads_until: float = -1000.0
    copies: tuple[protocol.Copy, ...] = ()
    run: tuple[int, int, str | None] = (0, 0, None)
    report: frozenset[str] = frozenset()
    report_run: tuple[int, int, str | None] = (0, 0, None)
    behind_since: float | None = None
    excluded_since: float | None = None
    lagging_behind: str | None = None

    def is_ready(self, now: float) -> bool:
        holds = self.told is None or self.told.generation in self.held
        return self.is_alive and holds and self.is_in_rotation and now - self.answered_at <= CONFIRMED


class World:
    def __init__(self, count: int) -> None:
        self.now = 100.0
        self.hosts = [Host(f"s{index}") for index in range(count)]
        self.visible: protocol.Visible | None = None
        self.candidate: str | None = None
        self.candidate_since, self.lost_since = 0.0, -1.0
        self.lease, self.renewed_at, self.gained_at = leadership.UNHELD, -1000.0, 0.0
        self.failed: dict[str, float] = {}
        self.copies: dict[str, list[protocol.Copy]] = {}
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
        if not host.is_slow and int(self.now) % 3 == 0:
            self.work(host)
        if int(self.now) % 2 == 0 and not host.is_cut:
            host.report, host.report_run = frozenset(host.held), host.run
            host.answered_at = self.now
            host.told = self.visible
            host.is_in_rotation = host.excluded_since is None
            host.copies = tuple(self.copies.get(host.name, ()))
            if self.lease.holder == host.name and self.lease.token >= host.token:
                host.token, host.leads_until, self.renewed_at = self.lease.token, self.now + 8, self.now

    def work(self, host: Host) -> None:
        others = {one.name: one for one in self.hosts}
        for copy in host.copies:
            for holder in (others[name] for name in copy.holders):
                if holder.is_alive and copy.generation in holder.held:
                    host.held.add(copy.generation)
        if self.now < host.leads_until and host.run[0] < self.sync_number:
            host.held.add(f"g{self.upstream}")
            host.run = (self.sync_number, host.token, f"g{self.upstream}")

    def decide(self) -> None:
        facts = self.snapshot()
        ruling = candidates.rule(facts, LIMITS)
        if ruling.generation != self.candidate:
            self.candidate, self.candidate_since, self.lost_since = ruling.generation, self.now, -1.0
        facts = dataclasses.replace(facts, candidate=self.candidate)
        is_lost = bool(self.candidate) and not rotation.holders_in_touch(facts, str(self.candidate), LIMITS)
        self.lost_since = (self.lost_since if self.lost_since >= 0 else self.now) if is_lost else -1.0
        decision = visibility.decide(facts, LIMITS)
        for host in self.hosts:
            (known,) = [one for one in facts.stations if one.id == host.name]
            is_behind = rotation.lacks(facts, known) and known.silent_seconds <= 10
            is_new = rotation.target(facts) != host.lagging_behind
            host.lagging_behind = rotation.target(facts) if is_behind else None
            host.behind_since = (self.now if is_new else host.behind_since) if is_behind else None
            is_out = is_behind and host.name in decision.excluded
            host.excluded_since = (host.excluded_since or self.now) if is_out else None
        gone = self.visible is not None and not rotation.holders_in_touch(facts, self.visible.generation, LIMITS)
        self.orphaned_since = (self.orphaned_since or self.now) if gone else None
        if decision.verdict in {visibility.Verdict.RESYNC, visibility.Verdict.RESTORE}:
            self.raise_sync()
        self.visible = decision.visible
        self.lead(facts)
        self.copies = copying.copies_of([dataclasses.replace(facts, visible=self.visible)], {}, LIMITS)

    def lead(self, facts: rotation.Snapshot) -> None:
        contenders = [
            leadership.Contender(
                id=one.id,
                hindrance="silent" if one.silent_seconds > LIMITS.liveness else "",
                is_owing=one.id == self.lease.holder and one.finished_sync < self.sync_number,
                merit=2 * (self.candidate in one.held),
                token=one.lease_token,
            )
            for one in facts.stations
        ]
        (holder,) = [one for one in self.hosts if one.name == self.lease.holder] or [None]
        if holder is not None and holder.report_run[0] >= self.sync_number:
            self.gained_at = self.now
        ruling = leadership.rule(facts.lease, contenders, leadership.Terms(), is_settled=True)
        if ruling.failed is not None:
            self.failed[ruling.failed] = self.now
        if ruling.verdict is leadership.Verdict.GRANT:
            assert not any(one.leads_until > self.now for one in self.hosts if one.name != ruling.holder)
            self.renewed_at = self.gained_at = self.now
        self.lease = dataclasses.replace(self.lease, holder=ruling.holder, token=ruling.token)

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
            candidate=self.candidate,
            candidate_seconds=self.now - self.candidate_since,
            lost_seconds=self.now - self.lost_since if self.lost_since >= 0 else 0.0,
            lease=dataclasses.replace(
                self.lease,
                renewed_seconds=self.now - self.renewed_at,
                idle_seconds=min(self.now - self.gained_at, self.now - self.raised_at),
                failed={name: self.now - when for name, when in self.failed.items()},
            ),
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
            lagging_behind=host.lagging_behind,
            finished_sync=host.report_run[0],
            sync_token=host.report_run[1],
            sync_generation=host.report_run[2],
            lease_token=host.token,
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
