"""What a station of the exploration thinks, by the functions of the real daemon: whether it is ready, what it shows."""

from __future__ import annotations

import datetime
import functools

from stationmaster.model import protocol
from stationmaster.station import miss_rules, readiness
from stationmaster.station import plan as plans
from stationmaster.station import snapshot as snapshots
from stationmaster.testing.exploration import hub_side, state
from stationmaster.testing.exploration.state import UNIT, Content, Part, Shown, Station, Volume, remembered

_NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_AT = 1000.0
_PORTS = protocol.Ports(proxy=1, http=2, https=3)
_ENGINE = snapshots.EngineView(is_running=True, is_answering=True, seen_at=_AT)
_CERTIFICATE = snapshots.CertificateView(
    "c", "k", "d", frozenset({"lb"}), _NOW - datetime.timedelta(days=1), _NOW + datetime.timedelta(days=900)
)


@functools.lru_cache
def _desired(sources: int) -> protocol.StationDesired:
    return protocol.StationDesired(
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
        sources=[
            protocol.MirrorSource(source_id=str(one), name=str(one), format=protocol.SourceFormat.RPM, url="http://u")
            for one in range(sources)
        ],
    )


def verdict(station: Station, volume: Volume) -> readiness.Verdict:
    """The station's own answer (R2)."""
    return _judged(station.parts, volume.contents, _contact(station))


@remembered
def _judged(parts: tuple[Part, ...], contents: tuple[Content, ...], contact: snapshots.Contact) -> readiness.Verdict:
    return readiness.judge(_view(parts, contents, contact), _AT, _NOW)


@remembered
def target_of(parts: tuple[Part, ...], contents: tuple[Content, ...], source: int) -> Shown | None:
    """`station.plan.target_of`."""
    return _plain(plans.target_of(_view(parts, contents), str(source)))


@remembered
def next_shown(parts: tuple[Part, ...], contents: tuple[Content, ...], source: int) -> Shown | None:
    """`station.plan.next_shown`."""
    return _plain(plans.next_shown(_view(parts, contents), str(source)))


def judge_miss(station: Station, volume: Volume, source: int, generation: str, *, is_hop: bool) -> miss_rules.Verdict:
    """`station.miss_rules`: what the daemon says of a path of the generation that nginx did not find (R11)."""
    return _judged_miss(
        station.parts,
        volume.contents,
        _contact(station),
        miss_rules.Asked(str(source), generation, "path", is_hop),
    )


@remembered
def _judged_miss(
    parts: tuple[Part, ...],
    contents: tuple[Content, ...],
    contact: snapshots.Contact,
    asked: miss_rules.Asked,
) -> miss_rules.Verdict:
    present = _view(parts, contents, contact)
    is_here = asked.generation in contents[int(asked.source_id)].held
    return miss_rules.judge(present, asked, _AT, has_manifest=is_here, has_path=is_here)


def _contact(station: Station) -> snapshots.Contact:
    return _contact_of(station.age, station.is_in_rotation, station.is_gone)


@remembered
def _contact_of(age: int, *flags: bool) -> snapshots.Contact:
    is_in_rotation, is_gone = flags
    return snapshots.Contact(
        confirmed_at=_AT - age * UNIT if age < state.UNCONFIRMED else None,
        time_confirmed=_NOW,
        is_in_rotation=is_in_rotation,
        is_gone=is_gone,
    )


def _plain(visible: protocol.Visible | None) -> Shown | None:
    return None if visible is None else Shown(visible.number, visible.generation)


def _visible(source: int, shown: Shown | None) -> tuple[protocol.Visible, ...]:
    found = hub_side.wire(source, shown)
    return () if found is None else (found,)


def _view(
    parts: tuple[Part, ...],
    contents: tuple[Content, ...],
    contact: snapshots.Contact | None = None,
) -> snapshots.Snapshot:
    records = {str(source): one for source, content in enumerate(contents) for one in _visible(source, content.record)}
    held = {
        str(source): tuple(snapshots.HeldView(one) for one in sorted(content.held))
        for source, content in enumerate(contents)
    }
    copies = tuple(
        protocol.Copy(source_id=str(source), generation=one, holders=[])
        for source, part in enumerate(parts)
        for one in part.copies
    )
    retained = {str(source): part.retained for source, part in enumerate(parts)}
    return snapshots.Snapshot(
        station_id="s0",
        volume_id="v",
        address="a",
        desired=_desired(len(parts)),
        told=tuple(one for source, part in enumerate(parts) for one in _visible(source, part.told)),
        shown=tuple(one for source, part in enumerate(parts) for one in _visible(source, part.shown)),
        contact=contact or snapshots.Contact(),
        orders=snapshots.Orders(copies=copies, retained=retained),
        volume=snapshots.VolumeView("/m", _AT, volume_id="v", is_writable=True, held=held, records=records, mount="m"),
        nginx=_ENGINE,
        squid=_ENGINE,
        certificates=snapshots.CertificatesView(signed=_CERTIFICATE),
        fetch={
            (str(source), one): snapshots.FetchView(is_fetchable=True)
            for source, part in enumerate(parts)
            for one in part.proved
        },
        proved_mount="m",
    )
