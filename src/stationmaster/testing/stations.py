"""Desired states and snapshots of a station, to be changed as a test asks. All values, nothing happens."""

from __future__ import annotations

import datetime
from pathlib import Path

from stationmaster.model import protocol
from stationmaster.station import plan as plans
from stationmaster.station import snapshot as snapshots
from stationmaster.station import specs

NOW_AT = 5000.0
NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
MOMENT = plans.Moment(NOW_AT, NOW)
A, B = "ocid1.source.a", "ocid1.source.b"
HOST = specs.SiteHost(Path("/state"), ("0.0.0.0",), "www-data", "proxy", "token")  # noqa: S104 - nothing is bound
PORTS = protocol.Ports(proxy=16080, http=17080, https=17443)


def source(source_id: str, number: int = 0, *, keys: list[str] | None = None) -> protocol.MirrorSource:
    """A source of the mirror list."""
    return protocol.MirrorSource(
        source_id=source_id,
        name=source_id[-1],
        format=protocol.SourceFormat.RPM,
        url="http://upstream/",
        sync_number=number,
        gpg_keys=keys or [],
    )


def visible(source_id: str, number: int, generation: str) -> protocol.Visible:
    """One visible record."""
    return protocol.Visible(source_id=source_id, number=number, generation=generation)


def desired(**changes: object) -> protocol.StationDesired:
    """What a station should be: one source, one balancer."""
    values: dict[str, object] = {
        "station_id": "station",
        "display_name": "A",
        "group_id": "group",
        "compartment_id": "compartment",
        "client_address": protocol.ClientAddress(host="lb.example", ports=PORTS),
        "ports": PORTS,
        "balancer_ports": protocol.Ports(proxy=16081, http=17081, https=17444),
        "balancer_addresses": ["10.0.0.9"],
        "peers": [],
        "is_proxy_enabled": True,
        "permitted_ranges": ["10.0.0.0/8"],
        "forward_proxy": None,
        "mirror_directory": "/mirror",
        "certificate_path": None,
        "hub": protocol.HubAddress(url="https://hub", host="hub", port=443, addresses=["10.0.0.1"]),
        "is_draining": False,
        "is_auto_config_enabled": False,
        "sources": [source(A)],
        **changes,
    }
    return protocol.StationDesired(**values)  # type: ignore[arg-type]


def certificate(
    names: frozenset[str] = frozenset({"lb.example"}),
    *,
    begins: datetime.timedelta = datetime.timedelta(days=-1),
    ends: datetime.timedelta = datetime.timedelta(days=30),
    digest: str = "c",
) -> snapshots.CertificateView:
    """A certificate for the group's name, valid now."""
    return snapshots.CertificateView(
        chain="/state/certificate/chain.pem",
        key="/state/certificate/key.pem",
        digest=digest,
        names=names,
        not_before=NOW + begins,
        not_after=NOW + ends,
        holder="station",
    )


def volume(held: dict[str, tuple[str, ...]] | None = None, **changes: object) -> snapshots.VolumeView:
    """The volume with generations by source."""
    values: dict[str, object] = {
        "directory": "/mirror",
        "seen_at": NOW_AT,
        "volume_id": "v",
        "is_writable": True,
        "held": snapshots.frozen_map(
            {one: tuple(map(snapshots.HeldView, generations)) for one, generations in (held or {}).items()}
        ),
        **changes,
    }
    return snapshots.VolumeView(**values)  # type: ignore[arg-type]


def engine(**changes: object) -> snapshots.EngineView:
    """An engine that runs and answers."""
    values = {"is_running": True, "is_answering": True, "seen_at": NOW_AT, **changes}
    return snapshots.EngineView(**values)  # type: ignore[arg-type]


def snapshot(**changes: object) -> snapshots.Snapshot:
    """A station that is ready and shows generation g1 of source A under number 1."""
    shown = (visible(A, 1, "g1"),)
    values: dict[str, object] = {
        "station_id": "station",
        "volume_id": "v",
        "address": "10.0.0.2",
        "desired": desired(),
        "desired_digest": "d",
        "stored_desired": "d",
        "told": shown,
        "stored_told": shown,
        "shown": shown,
        "contact": snapshots.Contact(confirmed_at=NOW_AT - 1),
        "volume": volume({A: ("g1",)}, records=snapshots.frozen_map({A: shown[0]})),
        "nginx": engine(),
        "squid": engine(),
        "certificates": snapshots.CertificatesView(signed=certificate()),
        "fetch": snapshots.frozen_map({(A, "g1"): snapshots.FetchView(is_fetchable=True)}),
        "keys": snapshots.frozen_map({A: snapshots.KeysView(wanted="")}),
        **changes,
    }
    return snapshots.Snapshot(**values)  # type: ignore[arg-type]
