"""How one sync reaches its upstream: the repository's format, its addresses, its root."""

from __future__ import annotations

import dataclasses

from stationmaster.host import clock as clocks
from stationmaster.mirror import fetch, mirrors, order, roots, source, upstream, volume


@dataclasses.dataclass(frozen=True)
class Way:
    """The parts that belong together for the length of one sync."""

    repository: upstream.Upstream
    mirrors: mirrors.Mirrors
    seeker: roots.RootSeeker
    reach: upstream.Reach


def open_way(place: volume.Volume, clock: clocks.Clock, fetcher: fetch.Fetcher, wanted: order.Order) -> Way:
    """The way to the source's upstream; nothing is asked yet."""
    repository, addresses = _repository(clock, fetcher, wanted), mirrors.Mirrors(wanted.source.addresses)
    return Way(
        repository,
        addresses,
        roots.RootSeeker(place, clock, repository, addresses, wanted, fetcher),
        upstream.Reach(repository, fetcher, addresses, is_follower=wanted.expected is not None),
    )


def _repository(clock: clocks.Clock, fetcher: fetch.Fetcher, wanted: order.Order) -> upstream.Upstream:
    is_dated = not wanted.policy.allow_expired and wanted.expected is None
    now = clock.now() if is_dated else None
    if isinstance(wanted.source, source.RpmSource):
        from stationmaster.mirror import rpm

        return rpm.RpmUpstream(wanted.source, fetcher, now)
    from stationmaster.mirror import deb

    return deb.DebUpstream(wanted.source, fetcher, now)
