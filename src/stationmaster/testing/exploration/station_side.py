"""The stations of the exploration: what they record, show, copy, sync and remove, and whether they are ready.

What is shown next and whether a station is ready is decided by the functions of the real daemon.
"""

from __future__ import annotations

import datetime
import functools

from stationmaster.model import protocol
from stationmaster.station import plan as plans
from stationmaster.station import readiness
from stationmaster.station import snapshot as snapshots
from stationmaster.testing.exploration import hub_side
from stationmaster.testing.exploration.state import FAR, SAMPLED, SOURCE, UNIT, Run, Shown, Station, Volume, World

_NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_AT = 1000.0
_PORTS = protocol.Ports(proxy=1, http=2, https=3)
_DESIRED = protocol.StationDesired(
    station_id="s0",
    display_name="s0",
    group_id="g",
    compartment_id="c",
    client_address=protocol.ClientAddress(host="lb", ports=_PORTS),
    ports=_PORTS,
    balancer_ports=_PORTS,
    balancer_addresses=[],
    peers=[],
    is_proxy_enabled=True,
    permitted_ranges=[],
    forward_proxy=None,
    mirror_directory="/m",
    certificate_path=None,
    hub=protocol.HubAddress(url="https://hub", host="hub", port=443),
    is_draining=False,
    is_auto_config_enabled=False,
    sources=[protocol.MirrorSource(source_id=SOURCE, name=SOURCE, format=protocol.SourceFormat.RPM, url="http://u")],
)
_ENGINE = snapshots.EngineView(is_running=True, is_answering=True, seen_at=_AT)
_CERTIFICATE = snapshots.CertificateView(
    "c", "k", "d", frozenset({"lb"}), _NOW - datetime.timedelta(days=1), _NOW + datetime.timedelta(days=900)
)


def grow_older(station: Station) -> Station:
    """One unit later; what balancers think of it follows when they sample."""
    return station._replace(age=min(FAR, station.age + 1), ready=max(0, station.ready - 1))


def sampled(world: World, index: int) -> Station:
    """What a balancer sees of it now."""
    station = world.stations[index]
    if station.works and verdict(station, world).is_ready:
        return station._replace(ready=SAMPLED)
    return station


def verdict(station: Station, world: World) -> readiness.Verdict:
    """The station's own answer (R2)."""
    return _judged(_facts(station, world))


def holds_lease(station: Station) -> bool:
    """Whether it would use the lease of the source now: eight seconds from sending (R5)."""
    return station.lease > 0 and _is_valid(station.age)


def holds_volume(station: Station) -> bool:
    """Whether it would use the lease of its volume now."""
    return station.writer > 0 and _is_valid(station.age)


def _is_valid(age: int) -> bool:
    terms = protocol.Lease(source_id=SOURCE, token=1)
    return snapshots.LeaseView(1, terms.stop_after_seconds).holds(age * UNIT)


def hear_answer(world: World, index: int) -> World:
    """Take over an answer, as `station.orders.after_answer`: a lower token than one ever seen is ignored (R8)."""
    station, hub = world.stations[index], world.hub
    is_leading = hub_side.is_settled(hub)
    lease = hub.lease.token if is_leading and hub.lease.holder == index else 0
    lease = lease if lease >= station.token else 0
    writer = hub.writers[station.volume]
    told = hub.visible
    lag = hub.lags[index]
    station = station._replace(
        age=0,
        told=told if told is not None else station.told,
        is_in_rotation=lag is None or lag.excluded is None,
        wanted=hub.number,
        token=max(station.token, lease),
        lease=lease,
        writer=writer.token if is_leading and writer.holder == index else 0,
        retained=hub_side.retained(hub),
        copies=hub.copies[index],
    )
    return _with_station(world, index, station)


def work(world: World, index: int) -> World:
    """One unit of work: a removal that was begun, a sync or a copy, a record, the switch."""
    station = world.stations[index]
    if not station.works:
        return world
    world = _remove(world, index)
    if not station.is_slow:
        world = _sync(world, index)
        world = _copy(world, index)
    return _show(world, index)


def begin_removal(world: World, index: int) -> World | None:
    """Under the volume's lease, of something that need not stay; None when there is nothing."""
    station = world.stations[index]
    volume = world.volumes[station.volume]
    if not (station.works and holds_volume(station)) or station.writer <= volume.closed or station.picked:
        return None
    going = sorted(one for one in volume.held - {max(volume.held)} if _may_go(station, volume, one))
    return _with_station(world, index, station._replace(picked=(station.writer, going[0], False))) if going else None


def _may_go(station: Station, volume: Volume, generation: str) -> bool:
    kept = station.retained | {one.generation for one in (station.shown, station.told, volume.record) if one}
    return holds_volume(station) and generation not in kept


def _remove(world: World, index: int) -> World:
    station = world.stations[index]
    if station.picked is None:
        return world
    token, generation, is_due = station.picked
    if not is_due:
        return _with_station(world, index, station._replace(picked=(token, generation, True)))
    volume = world.volumes[station.volume]
    world = _with_station(world, index, station._replace(picked=None, was_frozen=False))
    if token <= volume.closed:
        return world  # closed meanwhile: there is no directory to rename into (R1)
    if not station.was_frozen and not _may_go(station, volume, generation):
        return world  # looked at again before the act; one that was frozen in between has looked already
    return _with_volume(world, station.volume, volume._replace(held=volume.held - {generation}))


def _sync(world: World, index: int) -> World:
    station = world.stations[index]
    if not holds_lease(station) or station.run.number >= station.wanted:
        return world
    world = _add(world, station.volume, world.upstream)
    run = Run(station.wanted, station.lease, world.upstream)
    return _with_station(world, index, station._replace(run=run))


def _copy(world: World, index: int) -> World:
    station = world.stations[index]
    for generation in station.copies:
        holders = [one for one in world.stations if one.works and generation in world.volumes[one.volume].held]
        if generation not in world.volumes[station.volume].held and holders:
            world = _add(world, station.volume, generation)
    return world


def _add(world: World, number: int, generation: str) -> World:
    """Before it is believed to be there, every token is closed: who begins to remove later sees it (R1)."""
    volume = world.volumes[number]
    highest = max([volume.closed, *(one.writer for one in world.stations if one.volume == number)])
    return _with_volume(world, number, volume._replace(held=volume.held | {generation}, closed=highest))


def _show(world: World, index: int) -> World:
    station = world.stations[index]
    volume = world.volumes[station.volume]
    target = plans.target_of(_view(_facts(station, world)), SOURCE)
    is_there = target is not None and target.generation in volume.held
    if target is not None and is_there and (volume.record is None or volume.record.number < target.number):
        volume = volume._replace(record=Shown(target.number, target.generation))
        world = _with_volume(world, station.volume, volume)
    following = _following(_facts(station, world))
    return _with_station(world, index, station._replace(shown=following))


def _with_station(world: World, index: int, station: Station) -> World:
    return world._replace(stations=(*world.stations[:index], station, *world.stations[index + 1 :]))


def _with_volume(world: World, number: int, volume: Volume) -> World:
    return world._replace(volumes=(*world.volumes[:number], volume, *world.volumes[number + 1 :]))


_Facts = tuple[Shown | None, Shown | None, Shown | None, frozenset[str], int, bool]


def _facts(station: Station, world: World) -> _Facts:
    volume = world.volumes[station.volume]
    return station.told, station.shown, volume.record, volume.held, station.age, station.is_in_rotation


@functools.lru_cache(maxsize=100_000)
def _following(facts: _Facts) -> Shown | None:
    following = plans.next_shown(_view(facts), SOURCE)
    return None if following is None else Shown(following.number, following.generation)


@functools.lru_cache(maxsize=100_000)
def _judged(facts: _Facts) -> readiness.Verdict:
    return readiness.judge(_view(facts), _AT, _NOW)


@functools.lru_cache(maxsize=100_000)
def _view(facts: _Facts) -> snapshots.Snapshot:
    told, shown, record, held, age, is_in_rotation = facts
    wired = hub_side.wire(record)
    volume = snapshots.VolumeView(
        "/m",
        _AT,
        volume_id="v",
        is_writable=True,
        held={SOURCE: tuple(snapshots.HeldView(one) for one in sorted(held))},
        records={SOURCE: wired} if wired else {},
        mount="m",
    )
    return snapshots.Snapshot(
        station_id="s0",
        volume_id="v",
        address="a",
        desired=_DESIRED,
        told=tuple(one for one in (hub_side.wire(told),) if one),
        shown=tuple(one for one in (hub_side.wire(shown),) if one),
        contact=snapshots.Contact(
            confirmed_at=_AT - age * UNIT if age < FAR else None, time_confirmed=_NOW, is_in_rotation=is_in_rotation
        ),
        volume=volume,
        nginx=_ENGINE,
        squid=_ENGINE,
        certificates=snapshots.CertificatesView(signed=_CERTIFICATE),
        fetch={(SOURCE, one): snapshots.FetchView(is_fetchable=True) for one in held},
        proved_mount="m",
    )
