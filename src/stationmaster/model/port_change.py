"""How all ports of a group change together without a client that fails: the way round I2 (ADR 24). Pure.

Two phases. OPENING: clients are told the old ports, and every station and balancer comes to serve the new ones beside
them. MOVING: clients are told the new ports, and the old ones are served until nobody uses them, or a stated time is
over. Whoever is told something can use it: a port is named only when all serve it, and closed only when it is no
longer named.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator

from stationmaster.model import errors, ports

BALANCER_GONE_SECONDS = 120.0
SETTLING_SECONDS = 10.0
_NAMED = 5


class Phase(enum.StrEnum):
    """What clients are told meanwhile."""

    OPENING = "OPENING"
    MOVING = "MOVING"


class Step(enum.StrEnum):
    """What is to be done now."""

    WAIT = "WAIT"
    TELL_CLIENTS = "TELL_CLIENTS"
    CLOSE_THE_OTHERS = "CLOSE_THE_OTHERS"


@dataclasses.dataclass(frozen=True)
class PortSet:
    """Everything that a station of the group listens on, for clients and for balancers."""

    direct: ports.PortTriple
    balancer: ports.PortTriple

    @classmethod
    def of(cls, direct: ports.PortTriple) -> PortSet:
        """With the balancer ports that go with the three."""
        return cls(direct, ports.default_balancer_ports(direct))

    def roles(self) -> dict[str, int]:
        """Each port by what it is for."""
        found = dict(self.direct.named())
        found |= {f"the balancer port of {name}": port for name, port in self.balancer.named()}
        found["the agent-check port"] = ports.agent_port(self.direct, self.balancer)
        return found


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Something else that listens on the host of a station: another group's station, or the hub."""

    name: str
    ports: tuple[tuple[str, int], ...]


def require_room(wanted: PortSet, present: PortSet, neighbours: tuple[Neighbour, ...] = ()) -> None:
    """ConflictError when ``wanted`` cannot be served beside ``present`` and the neighbours, naming both ports."""
    taken = {port: f"{role} of this group, which is served until the change-over is over" for role, port in
             present.roles().items()}  # fmt: skip
    for role, port in wanted.roles().items():
        if port in taken and present.roles()[role] != port:
            raise errors.ConflictError(
                f"{role} would be {port}, which is {taken[port]}.",
                hint="Choose ports that differ from all present ones, or change twice, over other ports.",
            )
        for neighbour in neighbours:
            for their_role, theirs in neighbour.ports:
                if theirs == port:
                    raise errors.ConflictError(
                        f"{role} would be {port}, which is {their_role} of {neighbour.name} on the same host.",
                        hint="Choose another port.",
                    )


@dataclasses.dataclass(frozen=True)
class Station:
    """A member: whether it is heard and serves clients, which ports it says are in force, and which should be."""

    name: str
    is_serving: bool
    wanted: frozenset[int]
    listening: frozenset[int]

    @property
    def missing(self) -> list[int]:
        """What it does not serve yet."""
        return sorted(self.wanted - self.listening)


@dataclasses.dataclass(frozen=True)
class Balancer:
    """A running ``balancer run``; ``told`` and ``beside`` are the clients' ports that it serves, None when unknown."""

    node: str
    silent_seconds: float
    told: ports.PortTriple | None = None
    beside: ports.PortTriple | None = None


@dataclasses.dataclass(frozen=True)
class Situation:
    """A change-over now. ``told`` are the ports that clients are told, ``beside`` the others that are served.

    ``laggards`` are instances that still use ``beside``. ``at_least`` and ``at_most`` bound MOVING, in seconds.
    """

    phase: Phase
    told: ports.PortTriple
    beside: ports.PortTriple
    stations: tuple[Station, ...]
    balancers: tuple[Balancer, ...] = ()
    laggards: tuple[str, ...] = ()
    since_moved: float = 0.0
    at_least: float = 0.0
    at_most: float = 86400.0


@dataclasses.dataclass(frozen=True)
class Decision:
    """What to do, and for whom is waited, in words."""

    step: Step
    waiting: tuple[str, ...] = ()


def decide(situation: Situation) -> Decision:
    """The next step. A silent station or balancer holds nobody up: it takes over what holds when it returns."""
    if situation.phase is Phase.OPENING:
        waiting = tuple(_before_clients_are_told(situation))
        return Decision(Step.WAIT, waiting) if waiting else Decision(Step.TELL_CLIENTS)
    waiting = tuple(_before_the_others_close(situation))
    return Decision(Step.WAIT, waiting) if waiting else Decision(Step.CLOSE_THE_OTHERS)


def _before_clients_are_told(situation: Situation) -> Iterator[str]:
    heard = [one for one in situation.stations if one.is_serving]
    if not heard:
        yield "No station serves clients."  # R9: all of none is no consent
    for station in sorted(heard, key=lambda one: one.name):
        if station.missing:
            numbers = ", ".join(str(port) for port in station.missing)
            yield f"{station.name} does not serve {numbers} yet."
    for balancer in _known(situation, BALANCER_GONE_SECONDS):
        if {balancer.told, balancer.beside} != {situation.told, situation.beside}:
            yield f"The balancer {balancer.node} does not serve both sets of ports yet."


def _before_the_others_close(situation: Situation) -> Iterator[str]:
    left = max(situation.at_least, SETTLING_SECONDS) - situation.since_moved
    if left > 0:
        yield f"The former ports stay for at least {format_seconds(left)}."
    if situation.since_moved >= max(situation.at_most, situation.at_least):
        return
    for balancer in _known(situation):
        if balancer.told != situation.told:
            yield f"The balancer {balancer.node} still sends clients to the former ports of stations."
    if situation.laggards:
        names = ", ".join(situation.laggards[:_NAMED])
        more = f" and {len(situation.laggards) - _NAMED} more" if len(situation.laggards) > _NAMED else ""
        yield f"{len(situation.laggards)} instance(s) still use the former ports: {names}{more}."


def _known(situation: Situation, seconds: float = float("inf")) -> list[Balancer]:
    """Balancers that said what they serve; of others, such as those of an earlier release, nothing can be awaited."""
    known = [one for one in situation.balancers if one.told is not None and one.silent_seconds <= seconds]
    return sorted(known, key=lambda one: one.node)


def format_seconds(seconds: float) -> str:
    """For a person: `45 s`, `12 min`, `23.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
