"""What can be done to the group: each fault strikes a target and returns what mends it.

A fault's *bound* is the longest that a client of any of the three ports may wait more than usual (design section 13);
*excused* are the kinds of operation that cannot succeed while it lasts, whoever serves.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import failures, host, machines, waiting
from stationmaster.lab.addressing import Direction
from stationmaster.lab.chaos import stage as stages
from stationmaster.model import errors

Mend = Callable[[], None]
Strike = Callable[[stages.Stage, str], Mend]
KILLED, FROZEN, CUT, BALANCER = 0.5, 1.0, 1.0, 2.0
_LIBRARIES = Path("/usr/lib")
_TUNNEL = failures.REQUESTS[2]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One line of the table.

    ``unbounded``: kinds that the bound says nothing of. ``is_balancer``: who was with the lost node comes again.
    ``takes_copies``: stations that cannot reach their peers take from upstream what they would take from these.
    """

    about: str
    targets: tuple[str, ...]
    strike: Strike
    bound: float | None = None
    excused: frozenset[str] = frozenset()
    unbounded: frozenset[str] = frozenset()
    is_balancer: bool = False
    takes_copies: bool = False


def _nothing() -> None:
    """What mends something that the product mends by itself."""


def _kill_station(stage: stages.Stage, name: str) -> Mend:
    stage.world.lab[name].kill_all()
    return functools.partial(stage.power_on, name)


def _freeze_host(stage: stages.Stage, name: str) -> Mend:
    on = stage.world.lab[name]
    on.freeze()
    return lambda: _done(on.thaw())


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        programs.signal_process(pid, number)


def _kill_engine(program: str, stage: stages.Stage, name: str) -> Mend:
    _signal(stage.world.lab[name].find(program), signal.SIGKILL)
    return _nothing


def _freeze_engine(program: str, stage: stages.Stage, name: str) -> Mend:
    pids = stage.world.lab[name].find(program)
    _signal(pids, signal.SIGSTOP)
    # The daemon may have replaced them meanwhile; those that are left go on.
    return lambda: _signal([pid for pid in pids if pid in stage.world.lab[name].find(program)], signal.SIGCONT)


def _kill_daemon(stage: stages.Stage, name: str) -> Mend:
    station = stage.world.stations[name]
    _signal(station.daemon(), signal.SIGKILL)
    return functools.partial(station.start)


def _freeze_daemon(stage: stages.Stage, name: str) -> Mend:
    pids = stage.world.stations[name].daemon()
    _signal(pids, signal.SIGSTOP)
    return lambda: _signal(pids, signal.SIGCONT)


def _upgrade_daemons(stage: stages.Stage, _: str) -> Mend:
    for station in stage.world.stations.values():
        _restart_daemon(station)
        station.wait_until_ready(30)
    return _nothing


def _restart_daemon(station: machines.Station, environment: Mapping[str, str] | None = None) -> None:
    """As a service manager does it: told to end, waited for, started."""
    _signal(station.daemon(), signal.SIGTERM)
    waiting.until(lambda: not station.daemon(), 20, f"the daemon of {station.on.name} to end")
    station.start(environment)


def _set_clock(hours: int, stage: stages.Stage, name: str) -> Mend:
    """The daemon's wall clock is off; its clock for intervals is not, as on a machine whose time somebody set."""
    station = stage.world.stations[name]
    library = next(_LIBRARIES.glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise errors.ProgramMissingError("There is no libfaketime.", hint="Install the package libfaketime.")
    _restart_daemon(station, {"LD_PRELOAD": str(library), "FAKETIME": f"{hours:+}h", "DONT_FAKE_MONOTONIC": "1"})
    return lambda: _restart_daemon(station)


def _cut(peers: Sequence[str], direction: Direction, stage: stages.Stage, name: str) -> Mend:
    on = stage.world.lab[name]
    others: list[host.LabHost] = [stage.world.lab[peer] for peer in peers if peer != name]
    on.cut(direction, peers=others)
    return on.heal


def _unmount(stage: stages.Stage, name: str) -> Mend:
    stage.unmount(name)
    return lambda: stage.mount(name)


def _fill(stage: stages.Stage, name: str) -> Mend:
    stage.fill(name)
    return lambda: stage.free(name)


def _turn_read_only(stage: stages.Stage, name: str) -> Mend:
    stage.turn_read_only(name)
    return lambda: stage.turn_writable(name)


def _hang(stage: stages.Stage, name: str) -> Mend:
    on = stage.world.lab[name]
    stage.storage.signal_client(on, signal.SIGSTOP)
    return lambda: stage.storage.signal_client(on, signal.SIGCONT)


def _kill_server(stage: stages.Stage, name: str) -> Mend:
    stage.world.lab[name].kill_all()
    return lambda: stage.storage.start(stage.world.lab[name])


def _kill_hub(stage: stages.Stage, _: str) -> Mend:
    stage.hub.on.kill_all()
    return stage.hub.serve


def _kill_database(stage: stages.Stage, _: str) -> Mend:
    if stage.database is None:
        return _nothing
    stage.database.on.kill_all()
    return stage.database.start


def _power_off_balancer(stage: stages.Stage, name: str) -> Mend:
    stage.nodes[name].power_off()
    return stage.nodes[name].power_on


def _done(_: object) -> None:
    """A mend returns nothing."""


def _cuts() -> dict[str, Fault]:
    ends = {
        "hub": (("hub",), "station and hub"),
        "peers": (stages.STATIONS, "station and its peers"),
        "upstream": (("up",), "station and upstream"),
        "balancer": (("lb",), "station and balancer"),
    }
    found = {}
    for word, (peers, between) in ends.items():
        for direction in Direction:
            suffix = "" if direction is Direction.BOTH else f"-{direction}"
            side = "cut" if direction is Direction.BOTH else f"one-sided: nothing {direction}"
            strike = functools.partial(_cut, peers, direction)
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
    made: dict[str, tuple[str, Strike]] = {
        "killed": ("Balancer without power", _power_off_balancer),
        "frozen": ("SIGSTOP to the whole balancer", _freeze_host),
        "cut-off": ("Balancer without network", functools.partial(_cut, (), Direction.BOTH)),
    }
    return {
        f"balancer-{word}": Fault(about, stages.BALANCERS[:1], strike, BALANCER, is_balancer=True)
        for word, (about, strike) in made.items()
    }


_HUB_AWAY = frozenset({_TUNNEL})
_EVERY = stages.STATIONS
TABLE: Mapping[str, Fault] = {
    "station-killed": Fault("SIGKILL to the whole station", _EVERY, _kill_station, KILLED),
    "station-frozen": Fault("SIGSTOP to the whole station", _EVERY, _freeze_host, FROZEN),
    "station-cut-off": Fault("Station without network", _EVERY, functools.partial(_cut, (), Direction.BOTH), CUT),
    "nginx-killed": Fault("SIGKILL to nginx", _EVERY, functools.partial(_kill_engine, "nginx"), KILLED),
    "nginx-frozen": Fault("SIGSTOP to nginx", _EVERY, functools.partial(_freeze_engine, "nginx"), FROZEN),
    "squid-killed": Fault("SIGKILL to squid", _EVERY, functools.partial(_kill_engine, "squid"), KILLED),
    "squid-frozen": Fault("SIGSTOP to squid", _EVERY, functools.partial(_freeze_engine, "squid"), FROZEN),
    "daemon-killed": Fault("SIGKILL to the daemon", _EVERY, _kill_daemon, KILLED),
    "daemon-frozen": Fault("SIGSTOP to the daemon", _EVERY, _freeze_daemon, FROZEN),
    "daemons-upgraded": Fault("Daemons restarted one by one", ("all",), _upgrade_daemons, KILLED),
    "clock-ahead": Fault("Daemon's clock 5 hours ahead", _EVERY, functools.partial(_set_clock, 5), FROZEN),
    "clock-behind": Fault("Daemon's clock 5 hours behind", _EVERY, functools.partial(_set_clock, -5), FROZEN),
    **_cuts(),
    **_balancers(),
    "volume-unmounted": Fault("Volume unmounted", _EVERY, _unmount, FROZEN),
    "volume-full": Fault("Volume full", ("sta", "stc"), _fill, FROZEN),
    "volume-read-only": Fault("Volume read-only at one station", _EVERY, _turn_read_only, FROZEN),
    "volume-hung": Fault("Volume hangs (SIGSTOP to the FUSE client)", stages.SHARING, _hang, FROZEN),
    # GlusterFS itself stalls for its ping-timeout, whoever uses it.
    "storage-frozen": Fault("SIGSTOP to a storage server", ("ga", "gb"), _freeze_host),
    "storage-killed": Fault("SIGKILL to a storage server", stages.SERVERS, _kill_server),
    "hub-killed": Fault("SIGKILL to the hub", ("hub",), _kill_hub, FROZEN, _HUB_AWAY),
    "hub-frozen": Fault("SIGSTOP to the hub", ("hub",), _freeze_host, FROZEN, _HUB_AWAY | {"agent"}),
    "database-killed": Fault("SIGKILL to PostgreSQL", ("db",), _kill_database, FROZEN, _HUB_AWAY),
}
# What `make test` draws one of each from.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "kill": ("station-killed", "nginx-killed", "squid-killed", "daemon-killed"),
    "freeze": ("station-frozen", "nginx-frozen", "squid-frozen", "daemon-frozen"),
    "one-sided cut": tuple(name for name in TABLE if name.startswith("cut-") and name.endswith("ing")),
    "volume": ("volume-unmounted", "volume-read-only", "volume-hung"),
    "balancer": tuple(name for name, fault in TABLE.items() if fault.is_balancer),
}


def draw_short(seed: int) -> tuple[str, ...]:
    """One fault of each family."""
    chance = random.Random(seed)
    return tuple(chance.choice(family) for family in FAMILIES.values())
