"""How each fault is struck on a stage, and what mends it: effects alone, the table is in ``faults``."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stationmaster.host import programs
from stationmaster.lab import host, machines, waiting
from stationmaster.lab.addressing import Direction
from stationmaster.lab.chaos import stage as stages
from stationmaster.model import errors

Mend = Callable[[], None]
Strike = Callable[[stages.Stage, str], Mend]
_LIBRARIES = Path("/usr/lib")


def _nothing() -> None:
    """What mends something that the product mends by itself."""


def kill_station(stage: stages.Stage, name: str) -> Mend:
    """Power off; mended by starting its daemon again."""
    stage.world.lab[name].kill_all()
    return functools.partial(stage.power_on, name)


def freeze_host(stage: stages.Stage, name: str) -> Mend:
    """SIGSTOP to everything on a host."""
    on = stage.world.lab[name]
    on.freeze()
    return lambda: _done(on.thaw())


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        programs.signal_process(pid, number)


def kill_engine(program: str, stage: stages.Stage, name: str) -> Mend:
    """SIGKILL to nginx or squid; the daemon mends it."""
    _signal(stage.world.lab[name].find(program), signal.SIGKILL)
    return _nothing


def freeze_engine(program: str, stage: stages.Stage, name: str) -> Mend:
    """SIGSTOP to nginx or squid."""
    pids = stage.world.lab[name].find(program)
    _signal(pids, signal.SIGSTOP)
    # The daemon may have replaced them meanwhile; those that are left go on.
    return lambda: _signal([pid for pid in pids if pid in stage.world.lab[name].find(program)], signal.SIGCONT)


def kill_daemon(stage: stages.Stage, name: str) -> Mend:
    """SIGKILL to the daemon alone."""
    station = stage.world.stations[name]
    _signal(station.daemon(), signal.SIGKILL)
    return functools.partial(station.start)


def freeze_daemon(stage: stages.Stage, name: str) -> Mend:
    """SIGSTOP to the daemon alone."""
    pids = stage.world.stations[name].daemon()
    _signal(pids, signal.SIGSTOP)
    return lambda: _signal(pids, signal.SIGCONT)


def upgrade_daemons(stage: stages.Stage, _: str) -> Mend:
    """Restart all daemons, one by one."""
    for station in stage.world.stations.values():
        _restart_daemon(station)
        station.wait_until_ready(30)
    return _nothing


def _restart_daemon(station: machines.Station, environment: Mapping[str, str] | None = None) -> None:
    """As a service manager does it: told to end, waited for, started."""
    _signal(station.daemon(), signal.SIGTERM)
    waiting.until(lambda: not station.daemon(), 20, f"the daemon of {station.on.name} to end")
    station.start(environment)


def set_clock(hours: int, stage: stages.Stage, name: str) -> Mend:
    """The daemon's wall clock is off; its clock for intervals is not, as on a machine whose time somebody set."""
    station = stage.world.stations[name]
    library = next(_LIBRARIES.glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise errors.ProgramMissingError("There is no libfaketime.", hint="Install the package libfaketime.")
    _restart_daemon(station, {"LD_PRELOAD": str(library), "FAKETIME": f"{hours:+}h", "DONT_FAKE_MONOTONIC": "1"})
    return lambda: _restart_daemon(station)


def cut(peers: Sequence[str], direction: Direction, stage: stages.Stage, name: str) -> Mend:
    """Silence between a host and others; without any, between it and everybody."""
    on = stage.world.lab[name]
    others: list[host.LabHost] = [
        stage.world.lab[peer] for peer in peers if peer != name and peer in stage.world.lab.hosts
    ]
    on.cut(direction, peers=others)
    return on.heal


def unmount(stage: stages.Stage, name: str) -> Mend:
    """Take the volume away."""
    stage.unmount(name)
    return lambda: stage.mount(name)


def fill(stage: stages.Stage, name: str) -> Mend:
    """Leave no byte on the volume."""
    stage.fill(name)
    return lambda: stage.free(name)


def turn_read_only(stage: stages.Stage, name: str) -> Mend:
    """Refuse writes to the volume."""
    stage.turn_read_only(name)
    return lambda: stage.turn_writable(name)


def hang(stage: stages.Stage, name: str) -> Mend:
    """SIGSTOP to the FUSE client."""
    on = stage.world.lab[name]
    stage.storage.signal_client(on, signal.SIGSTOP)
    return lambda: stage.storage.signal_client(on, signal.SIGCONT)


def kill_server(stage: stages.Stage, name: str) -> Mend:
    """Power off a storage server."""
    stage.world.lab[name].kill_all()
    return lambda: stage.storage.start(stage.world.lab[name])


def kill_hub(stage: stages.Stage, name: str) -> Mend:
    """Power off one hub, or all of them."""
    struck = _hubs(stage, name)
    for hub in struck:
        hub.on.kill_all()
    return lambda: _each(machines.Hub.serve, struck)


def freeze_hub(stage: stages.Stage, name: str) -> Mend:
    """SIGSTOP to one hub, or to all of them."""
    struck = _hubs(stage, name)
    for hub in struck:
        hub.on.freeze()
    return lambda: _each(lambda hub: hub.on.thaw(), struck)


def _each(mend: Callable[[machines.Hub], object], hubs: Sequence[machines.Hub]) -> None:
    for hub in hubs:
        mend(hub)


def _hubs(stage: stages.Stage, name: str) -> Sequence[machines.Hub]:
    return [*stage.hubs.values()] if name == "all" else [stage.hubs[name]]


def kill_database(stage: stages.Stage, _: str) -> Mend:
    """Power off the database server."""
    if stage.database is None:
        return _nothing
    stage.database.on.kill_all()
    return stage.database.start


def power_off_balancer(stage: stages.Stage, name: str) -> Mend:
    """Power off a balancer node."""
    stage.nodes[name].power_off()
    return stage.nodes[name].power_on


def _done(_: object) -> None:
    """A mend returns nothing."""
