"""The decision about an engine, without one: steps by table, and the same end from every prefix."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from stationmaster.host import engine
from stationmaster.host.engine import Step

WANTED = engine.Wanted("new", (80,))
RUNNING = engine.Observed(is_installed=True, pid=7, installed="old", verified="old")
HOLDER = engine.Holder(80, 9, "apache2")
PLACE = (Step.CHECK, Step.INSTALL)


@pytest.mark.parametrize(
    ("changes", "wanted", "steps"),
    [
        ({"installed": "new", "verified": "new"}, WANTED, ()),
        ({}, WANTED, (*PLACE, Step.RELOAD, Step.VERIFY, Step.REMEMBER)),
        ({"installed": "new"}, WANTED, (*PLACE, Step.RELOAD, Step.VERIFY, Step.REMEMBER)),
        (
            {"installed": "new", "verified": "new", "missing_ports": (80,)},
            WANTED,
            (Step.RELOAD, Step.VERIFY, Step.REMEMBER),
        ),
        ({"pid": None}, WANTED, (*PLACE, Step.START, Step.VERIFY, Step.REMEMBER)),
        ({"pid": None, "installed": "new", "verified": "new"}, WANTED, (Step.START, Step.VERIFY, Step.REMEMBER)),
        (
            {"pid": None, "installed": "new", "verified": "new", "leftovers": (8,)},
            WANTED,
            (Step.END_LEFTOVERS, Step.START, Step.VERIFY, Step.REMEMBER),
        ),
        ({"pid": None, "missing_ports": (80,), "taken": (HOLDER,)}, WANTED, (Step.REFUSE_TAKEN_PORT,)),
        ({"missing_ports": (80,), "taken": (HOLDER,)}, WANTED, (Step.REFUSE_TAKEN_PORT,)),
        ({"is_installed": False, "pid": None}, WANTED, (Step.REFUSE_MISSING_PROGRAM,)),
        ({"is_installed": False, "installed": "new", "verified": "new"}, WANTED, ()),
        ({}, None, (Step.STOP,)),
        ({"pid": None}, None, ()),
        ({"pid": None, "leftovers": (8,)}, None, (Step.END_LEFTOVERS,)),
    ],
)
def test_steps(changes: dict[str, object], wanted: engine.Wanted | None, steps: tuple[Step, ...]) -> None:
    assert engine.plan_engine(dataclasses.replace(RUNNING, **changes), wanted) == steps  # type: ignore[arg-type]


@dataclasses.dataclass
class World:
    """What the steps do, in values."""

    pid: int | None
    installed: str | None
    verified: str | None
    in_force: str | None
    leftovers: tuple[int, ...] = ()
    candidate: str | None = None

    def observe(self) -> engine.Observed:
        return engine.Observed(
            is_installed=True,
            pid=self.pid,
            installed=self.installed,
            verified=self.verified,
            missing_ports=() if self.pid else WANTED.ports,
            leftovers=self.leftovers,
        )

    def do(self, step: Step) -> None:
        if step is Step.CHECK:
            self.candidate = WANTED.text
        elif step is Step.INSTALL:
            self.installed = self.candidate
        elif step is Step.END_LEFTOVERS:
            self.leftovers = ()
        elif step is Step.START:
            self.pid, self.in_force = 11, self.installed
        elif step is Step.RELOAD:
            self.in_force = self.installed
        elif step is Step.REMEMBER:
            self.verified = self.in_force


WORLDS = [
    World(pid, installed, verified, in_force if pid else None, () if pid else leftovers)
    for pid, (installed, verified, in_force), leftovers in itertools.product(
        (None, 7), ((None, None, None), ("old", "old", "old"), ("new", "old", "old"), ("new", "new", "new")), ((), (8,))
    )
]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_interrupted_anywhere_it_comes_to_the_same_end(world: World) -> None:
    steps = engine.plan_engine(world.observe(), WANTED)
    for count in range(len(steps) + 1):
        here = dataclasses.replace(world)
        for step in steps[:count]:
            here.do(step)
        for step in engine.plan_engine(here.observe(), WANTED):
            here.do(step)
        assert (here.installed, here.verified, here.in_force, here.leftovers) == ("new", "new", "new", ())
        assert engine.plan_engine(here.observe(), WANTED) == ()


def test_patience_grows_and_is_forgotten() -> None:
    patience, now, waits = engine.Patience(), 100.0, []
    for _ in range(7):
        patience = patience.after_failure(now)
        waits.append(patience.until - now)
        now = patience.until
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert not patience.is_over(now - 0.1)
    assert patience.after_failure(now + 61).until == now + 62


def test_holder_is_named() -> None:
    assert str(HOLDER) == "port 80 by apache2 (pid 9)"
    assert str(engine.Holder(80, None, None)) == "port 80 by a process that this user may not see"
