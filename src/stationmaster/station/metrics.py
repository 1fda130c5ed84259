"""What Prometheus is told by a station: the present snapshot as metrics, and counters of what syncs came to.

Names follow Prometheus' conventions: base units, ``_total`` for counters, one label value per source at most. The
library is imported at the first scrape: a station that nobody watches does not pay for it. The list with its meanings
is in docs/operations.md.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import stationmaster
from stationmaster.model import protocol
from stationmaster.station import certificates, readiness
from stationmaster.station import snapshot as snapshots

if TYPE_CHECKING:
    from prometheus_client import metrics_core

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UPSTREAM, PEER = "upstream", "peer"
_P = "stationmaster_station_"


@dataclasses.dataclass
class _Origin:
    """What came from one kind of place since the daemon began."""

    succeeded: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0


class Tally:
    """Counts syncs as they end: ``look`` at every cycle; a report is known by when it ended."""

    def __init__(self) -> None:
        self._seen: dict[str, datetime.datetime | None] = {}
        self._lock = threading.Lock()
        self._origins = {UPSTREAM: _Origin(), PEER: _Origin()}
        self._is_first = True

    def look(self, snapshot: snapshots.Snapshot) -> None:
        """Take up what has ended since the last look; what a former daemon remembered is not counted again."""
        with self._lock:
            for source_id, view in snapshot.syncs.items():
                report = view.report
                if report is None or report.is_running or report.time_finished is None:
                    continue
                is_known = self._seen.get(source_id) == report.time_finished
                self._seen[source_id] = report.time_finished
                if not is_known and not self._is_first:
                    self._count(report, report.time_finished)
            self._is_first = False

    def read(self) -> dict[str, _Origin]:
        """A copy."""
        with self._lock:
            return {name: dataclasses.replace(one) for name, one in self._origins.items()}

    def _count(self, report: protocol.SyncReport, time_finished: datetime.datetime) -> None:
        origin = self._origins[UPSTREAM if report.lease_token else PEER]
        if report.problem is None:
            origin.succeeded += 1
        else:
            origin.failed += 1
        origin.bytes += report.bytes_downloaded
        if report.time_started is not None:
            origin.seconds += max(0.0, (time_finished - report.time_started).total_seconds())


@dataclasses.dataclass(frozen=True)
class Moment:
    """All that one scrape shows."""

    snapshot: snapshots.Snapshot
    verdict: readiness.Verdict
    origins: dict[str, _Origin]
    at: float
    now: datetime.datetime


def render(moment: Moment) -> bytes:
    """The text of one scrape."""
    from prometheus_client import CollectorRegistry, exposition, process_collector

    registry = CollectorRegistry(auto_describe=False)
    process_collector.ProcessCollector(registry=registry)
    registry.register(_Collector(moment))
    return exposition.generate_latest(registry)


class _Collector:
    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def collect(self) -> Iterator[metrics_core.Metric]:
        """The library's protocol."""
        yield from _about_station(self._moment)
        yield from _about_sources(self._moment)
        yield from _about_syncs(self._moment)
        yield from _about_host(self._moment)


def _about_station(moment: Moment) -> Iterator[metrics_core.Metric]:
    snapshot, verdict = moment.snapshot, moment.verdict
    name = snapshot.desired.display_name if snapshot.desired else ""
    yield _gauge(
        "info", "Release of the daemon, and the station's name.", {(stationmaster.__version__, name): 1.0},
        "version", "station",
    )  # fmt: skip
    yield _gauge(
        "readiness",
        "1 for the state that /healthz answers now.",
        {(one.value.lower(),): float(one is verdict.readiness) for one in protocol.Readiness},
        "state",
    )
    reasons: dict[tuple[str, ...], float] = {(one.code,): 1.0 for one in verdict.reasons}
    yield _gauge("unready_reason", "1 for each reason of not being ready.", reasons, "code")
    yield _plain("in_rotation", "0 when the hub left this station out.", float(snapshot.contact.is_in_rotation))
    yield _plain("draining", "1 while drained.", float(bool(snapshot.desired and snapshot.desired.is_draining)))
    confirmed_at = snapshot.contact.confirmed_at
    if confirmed_at is not None:
        yield _plain(
            "hub_confirmation_age_seconds",
            "Since the last heartbeat that the hub answered was sent.",
            moment.at - confirmed_at,
        )


def _about_sources(moment: Moment) -> Iterator[metrics_core.Metric]:
    snapshot = moment.snapshot
    sources = snapshot.desired.sources if snapshot.desired else []
    told = {one.name: snapshot.told_of(one.source_id) for one in sources}
    shown = {one.name: snapshot.shown_of(one.source_id) for one in sources}
    ids = {one.name: one.source_id for one in sources}
    held = {
        name: float(one is not None and snapshot.can_fetch(one.source_id, one.generation)) for name, one in told.items()
    }
    leases = snapshot.orders.leases or {}
    kept = {name: snapshot.volume.held.get(one, ()) if snapshot.volume else () for name, one in ids.items()}
    syncs = {name: snapshot.syncs.get(one, snapshots.SyncView()) for name, one in ids.items()}
    yield _by_source(
        "visible_number",
        "What the hub told is visible.",
        {name: float(one.number) for name, one in told.items() if one},
    )
    yield _by_source(
        "shown_number", "What clients of this station are told.",
        {name: float(one.number) for name, one in shown.items() if one},
    )  # fmt: skip
    yield _by_source("held", "1 when the visible generation is whole and fetchable here.", held)
    yield _by_source("generations", "Generations held.", {name: float(len(one)) for name, one in kept.items()})
    yield _by_source(
        "newest_size_bytes",
        "Size of the largest generation held.",
        {name: float(max(each.size_bytes for each in one)) for name, one in kept.items() if one},
    )
    yield _by_source(
        "lease_held",
        "1 while this station may talk to the upstream.",
        {name: float(one in leases and leases[one].holds(moment.at)) for name, one in ids.items()},
    )
    yield _by_source(
        "lease_token",
        "The highest lease this station ever had.",
        {name: float(snapshot.orders.tokens.get(one, 0)) for name, one in ids.items()},
    )
    yield _by_source(
        "sync_running", "1 while a sync or copy runs.", {name: float(one.is_running) for name, one in syncs.items()}
    )
    yield _by_source(
        "sync_failed",
        "1 when the last sync or copy failed.",
        {name: float(bool(one.report and one.report.problem)) for name, one in syncs.items()},
    )


def _about_syncs(moment: Moment) -> Iterator[metrics_core.Metric]:
    from prometheus_client import metrics_core

    ended = metrics_core.CounterMetricFamily(
        _P + "syncs", "Syncs and copies that ended since the daemon began.", labels=["origin", "outcome"]
    )
    loaded = metrics_core.CounterMetricFamily(_P + "sync_bytes", "Bytes that syncs downloaded.", labels=["origin"])
    spans = metrics_core.SummaryMetricFamily(
        _P + "sync_duration_seconds", "How long syncs and copies took.", labels=["origin"]
    )
    for name, one in sorted(moment.origins.items()):
        ended.add_metric([name, "succeeded"], one.succeeded)
        ended.add_metric([name, "failed"], one.failed)
        loaded.add_metric([name], one.bytes)
        spans.add_metric([name], one.succeeded + one.failed, one.seconds)
    yield from (ended, loaded, spans)


def _about_host(moment: Moment) -> Iterator[metrics_core.Metric]:
    snapshot = moment.snapshot
    engines: dict[tuple[str, ...], snapshots.EngineView] = {("nginx",): snapshot.nginx}
    if snapshot.desired is not None and snapshot.desired.is_proxy_enabled:
        engines["squid",] = snapshot.squid
    silent = readiness.ENGINE_SILENT_SECONDS
    up = {name: float(one.is_answering and moment.at - one.seen_at <= silent) for name, one in engines.items()}
    yield _gauge("engine_up", "1 when the program answers on its port.", up, "engine")
    volume = snapshot.volume
    if volume is not None:
        yield _plain("volume_usable", "0 when nothing can be served from it.", float(volume.problem is None))
        yield _plain("volume_writable", "0 when full, read-only or unusable.", float(volume.is_writable))
        yield _plain("volume_look_age_seconds", "Since the last look began: grows when it hangs.",
                     moment.at - volume.seen_at)  # fmt: skip
        if volume.problem is None:
            yield _plain("volume_size_bytes", "Size of the mirror's file system.", float(volume.total_bytes))
            yield _plain("volume_free_bytes", "What is free of it for the daemon.", float(volume.available_bytes))
    if snapshot.desired is not None:
        shown = certificates.chosen(snapshot.certificates, snapshot.desired.client_address.host, moment.now)
        if shown is not None:
            expiry = shown.not_after.timestamp()
            yield _plain("certificate_expiry_timestamp_seconds", "When the mirror's certificate ends.", expiry)


def _plain(name: str, words: str, value: float) -> metrics_core.Metric:
    from prometheus_client import metrics_core

    return metrics_core.GaugeMetricFamily(_P + name, words, value=value)


def _by_source(name: str, words: str, values: dict[str, float]) -> metrics_core.Metric:
    return _gauge(f"source_{name}", words, {(source,): value for source, value in values.items()}, "source")


def _gauge(name: str, words: str, values: Mapping[tuple[str, ...], float], *labels: str) -> metrics_core.Metric:
    from prometheus_client import metrics_core

    family = metrics_core.GaugeMetricFamily(_P + name, words, labels=list(labels))
    for key, value in sorted(values.items()):
        family.add_metric(list(key), value)
    return family
