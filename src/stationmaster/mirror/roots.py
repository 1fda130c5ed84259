"""Which root a sync goes by: that of the first address whose root is verified and passes the guards.

An address that shows an older state than the one held, or another than the one asked for, is passed over like one that
is away; only when none is left does its error count.
"""

from __future__ import annotations

from stationmaster.host import clock as clocks
from stationmaster.mirror import catalog, failures, guards, mirrors, order, outcome, remembered, upstream
from stationmaster.mirror import volume as volumes
from stationmaster.model import errors


class RootSeeker:
    """Reads roots for one sync."""

    def __init__(
        self,
        place: volumes.Volume,
        clock: clocks.Clock,
        repository: upstream.Upstream,
        addresses: mirrors.Mirrors,
        wanted: order.Order,
    ) -> None:
        self._volume = place
        self._clock = clock
        self._upstream = repository
        self._mirrors = addresses
        self._order = wanted

    def first(self) -> upstream.Root:
        """The present root; asked for conditionally where it was read before."""
        return self._seek(remembered.former_of(self._volume, self._order.source.name))

    def after(self, root: upstream.Root, failure: errors.StationmasterError) -> upstream.Root:
        """The root that made what we read false; the failure itself when the root is still the same."""
        self._pause()
        self._mirrors.forgive()
        present = self._seek(None)
        if present.generation == root.generation:
            raise failure
        return present

    def require_not_older(self, root: upstream.Root) -> None:
        """Refuse a rollback, unless a certain generation was asked for."""
        if self._order.expected is None:
            newest = catalog.newest_header(self._volume, self._order.source.name)
            guards.require_not_older(root, newest, self._order.policy)

    def _seek(self, former: upstream.Former | None) -> upstream.Root:
        self._order.progress(outcome.Progress(outcome.Phase.ROOT))

        def ask(base: str, is_hurried: bool) -> upstream.Root:  # noqa: FBT001 - the shape that ``first`` wants
            known = former if former is not None and former.base == base else None
            try:
                root = self._fetch(base, known, is_hurried=is_hurried)
            except failures.UnavailableError as exc:
                self._mirrors.put_aside(base, exc)  # no repository there: nothing else need be asked for
                raise
            guards.require_expected(root, self._order.expected)
            self.require_not_older(root)
            return root

        return self._mirrors.first(ask)

    def _fetch(self, base: str, former: upstream.Former | None, *, is_hurried: bool) -> upstream.Root:
        """The root; a signature that does not fit is read again, since upstreams replace the two one by one."""
        try:
            return self._upstream.fetch_root(base, former, is_hurried=is_hurried)
        except failures.SignatureInvalidError:
            self._pause()
            return self._upstream.fetch_root(base, None, is_hurried=is_hurried)

    def _pause(self) -> None:
        self._clock.sleep(self._order.policy.restart_pause.total_seconds())
