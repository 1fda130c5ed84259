"""What can be done to the group: each fault strikes a target and returns what mends it.

A fault's *bound* is the longest that a client of any of the three ports may wait more than usual (design section 13);
*excused* are the kinds of operation that cannot succeed while it lasts, whoever serves.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Mapping

from stationmaster.lab import failures
from stationmaster.lab.addressing import Direction
from stationmaster.lab.chaos import stage as stages
from stationmaster.lab.chaos import strikes

KILLED, FROZEN, CUT, BALANCER = 0.5, 1.0, 1.0, 2.0
_TUNNEL = failures.REQUESTS[2]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One line of the table.

    ``unbounded``: kinds that the bound says nothing of. ``is_balancer``: who was with the lost node comes again.
    ``takes_copies``: stations that cannot reach their peers take from upstream what they would take from these.
    ``is_hub``: how fast the hub answers is no excuse. ``needs_database``: it takes a hub on PostgreSQL.
    """

    about: str
    targets: tuple[str, ...]
    strike: strikes.Strike
    bound: float | None = None
    excused: frozenset[str] = frozenset()
    unbounded: frozenset[str] = frozenset()
    is_balancer: bool = False
    takes_copies: bool = False
    is_hub: bool = False
    needs_database: bool = False


def _cuts() -> dict[str, Fault]:
    ends = {
        "hub": (stages.HUBS, "station and hub"),
        "peers": (stages.STATIONS, "station and its peers"),
        "upstream": (("up",), "station and upstream"),
        "balancer": (stages.BALANCERS, "station and balancers"),
    }
    found = {}
    for word, (peers, between) in ends.items():
        for direction in Direction:
            suffix = "" if direction is Direction.BOTH else f"-{direction}"
            side = "cut" if direction is Direction.BOTH else f"one-sided: nothing {direction}"
            strike = functools.partial(strikes.cut, peers, direction)
            found[f"cut-{word}{suffix}"] = Fault(
                f"Between {between}, {side}",
                stages.STATIONS,
                strike,
                CUT,
                # Its squid refuses a tunnel after 3 s, and does so until the balancers know (ADR 19).
                unbounded=frozenset({_TUNNEL}) if word == "hub" else frozenset(),
                takes_copies=word == "peers",
            )
    return found


def _balancers() -> dict[str, Fault]:
    made: dict[str, tuple[str, strikes.Strike]] = {
        "balancer-killed": ("Balancer without power", strikes.power_off_balancer),
        "balancer-frozen": ("SIGSTOP to the whole balancer", strikes.freeze_host),
        "balancer-cut-off": ("Balancer without network", functools.partial(strikes.cut, (), Direction.BOTH)),
        "haproxy-killed": ("SIGKILL to HAProxy", functools.partial(strikes.kill_engine, "haproxy")),
        "haproxy-frozen": ("SIGSTOP to HAProxy", functools.partial(strikes.freeze_engine, "haproxy")),
    }
    # A port that refuses fails dnf, which asks for its list of mirrors once.
    excused = {"haproxy-killed": frozenset({"dnf refresh", "dnf download"})}
    return {
        name: Fault(about, stages.BALANCERS[:1], strike, BALANCER, excused.get(name, frozenset()), is_balancer=True)
        for name, (about, strike) in made.items()
    }


def _hubs() -> dict[str, Fault]:
    tunnels = frozenset({_TUNNEL})
    kill, freeze, lose = strikes.kill_hub, strikes.freeze_hub, strikes.kill_database
    every, one, base = ("all",), stages.HUBS, functools.partial(Fault, bound=FROZEN, is_hub=True)
    shared = functools.partial(base, needs_database=True)
    return {
        "hub-killed": base("SIGKILL to all hubs", every, kill, excused=tunnels),
        "hub-frozen": base("SIGSTOP to all hubs", every, freeze, excused=tunnels | {"agent"}),
        "replica-killed": shared("SIGKILL to one of two hubs", one, kill),
        # A tunnel that is open to it hangs until the client gives up.
        "replica-frozen": shared("SIGSTOP to one of two hubs", one, freeze, excused=tunnels),
        "database-killed": shared("SIGKILL to PostgreSQL", ("db",), lose, excused=tunnels),
    }


_EVERY = stages.STATIONS
TABLE: Mapping[str, Fault] = {
    "station-killed": Fault("SIGKILL to the whole station", _EVERY, strikes.kill_station, KILLED),
    "station-frozen": Fault("SIGSTOP to the whole station", _EVERY, strikes.freeze_host, FROZEN),
    "station-cut-off": Fault(
        "Station without network", _EVERY, functools.partial(strikes.cut, (), Direction.BOTH), CUT
    ),
    "nginx-killed": Fault("SIGKILL to nginx", _EVERY, functools.partial(strikes.kill_engine, "nginx"), KILLED),
    "nginx-frozen": Fault("SIGSTOP to nginx", _EVERY, functools.partial(strikes.freeze_engine, "nginx"), FROZEN),
    "squid-killed": Fault("SIGKILL to squid", _EVERY, functools.partial(strikes.kill_engine, "squid"), KILLED),
    "squid-frozen": Fault("SIGSTOP to squid", _EVERY, functools.partial(strikes.freeze_engine, "squid"), FROZEN),
    "daemon-killed": Fault("SIGKILL to the daemon", _EVERY, strikes.kill_daemon, KILLED),
    "daemon-frozen": Fault("SIGSTOP to the daemon", _EVERY, strikes.freeze_daemon, FROZEN),
    "daemons-upgraded": Fault("Daemons restarted one by one", ("all",), strikes.upgrade_daemons, KILLED),
    "clock-ahead": Fault("Daemon's clock 5 hours ahead", _EVERY, functools.partial(strikes.set_clock, 5), FROZEN),
    "clock-behind": Fault("Daemon's clock 5 hours behind", _EVERY, functools.partial(strikes.set_clock, -5), FROZEN),
    **_cuts(),
    **_balancers(),
    "volume-unmounted": Fault("Volume unmounted", _EVERY, strikes.unmount, FROZEN),
    "volume-full": Fault("Volume full", ("sta", "stc"), strikes.fill, FROZEN),
    "volume-read-only": Fault("Volume read-only at one station", _EVERY, strikes.turn_read_only, FROZEN),
    "volume-hung": Fault("Volume hangs (SIGSTOP to the FUSE client)", stages.SHARING, strikes.hang, FROZEN),
    # GlusterFS itself stalls for its ping-timeout, whoever uses it.
    "storage-frozen": Fault("SIGSTOP to a storage server", ("ga", "gb"), strikes.freeze_host),
    "storage-killed": Fault("SIGKILL to a storage server", stages.SERVERS, strikes.kill_server),
    **_hubs(),
}
# What `make test` draws one of each from.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "kill": ("station-killed", "nginx-killed", "squid-killed", "daemon-killed", "balancer-killed"),
    "freeze": ("station-frozen", "nginx-frozen", "squid-frozen", "daemon-frozen", "balancer-frozen"),
    "one-sided cut": tuple(name for name in TABLE if name.startswith("cut-") and name.endswith("ing")),
    "volume": ("volume-unmounted", "volume-read-only", "volume-hung"),
}


def draw_short(seed: int) -> tuple[str, ...]:
    """One fault of each family."""
    chance = random.Random(seed)
    return tuple(chance.choice(family) for family in FAMILIES.values())
