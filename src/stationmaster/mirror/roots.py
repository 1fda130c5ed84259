"""Which root a sync goes by: that of the first address whose root is verified and passes the guards.

An address that shows an older state than the one held, or another than the one asked for, is passed over like one that
is away; only when none is left does its error count.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from stationmaster.host import clock as clocks
from stationmaster.mirror import catalog, failures, fetch, guards, mirrors, order, outcome, remembered, source, upstream
from stationmaster.mirror import volume as volumes
from stationmaster.model import errors

if TYPE_CHECKING:
    from stationmaster.mirror import address_list

_PROMISED = "repodata/repomd.xml"


class RootSeeker:
    """Reads roots for one sync."""

    def __init__(
        self,
        place: volumes.Volume,
        clock: clocks.Clock,
        repository: upstream.Upstream,
        addresses: mirrors.Mirrors,
        wanted: order.Order,
        fetcher: fetch.Fetcher,
    ) -> None:
        self._fetcher = fetcher
        self._promise: address_list.Promise | None = None
        self._warnings: tuple[str, ...] = ()
        self._volume = place
        self._clock = clock
        self._upstream = repository
        self._mirrors = addresses
        self._order = wanted

    def read_list(self) -> str | None:
        """Ask for the source's list of addresses, if it has one.

        Returns the generation that was read last when a metalink says that its root is still the present one.
        """
        wanted = self._order.source
        if not isinstance(wanted, source.RpmSource) or not (wanted.metalink or wanted.mirrorlist):
            return None
        from stationmaster.mirror import address_list  # most sources have none, and a no-op has little time

        try:
            found = address_list.fetch_list(self._fetcher, wanted)
        except errors.UpstreamError as exc:
            if not wanted.addresses:
                raise
            found = address_list.AddressList((), warnings=(f"The list of addresses cannot be used: {exc.message}",))
        self._promise, self._warnings = found.promise, found.warnings
        self._mirrors.reset((*wanted.addresses, *found.addresses))
        return self._promised_generation()

    def _promised_generation(self) -> str | None:
        former = remembered.former_of(self._volume, self._order.source.name)
        if former is None or self._promise is None:
            return None
        try:
            content = (former.tree / _PROMISED).read_bytes()
        except OSError:
            return None
        return former.generation if self._promise.present.is_of(content) else None

    def first(self) -> upstream.Root:
        """The present root; asked for conditionally where it was read before."""
        return self._seek(remembered.former_of(self._volume, self._order.source.name))

    def after(self, root: upstream.Root, failure: errors.StationmasterError) -> upstream.Root:
        """The root that made what we read false; the failure itself when the root is still the same."""
        self._pause()
        self._mirrors.forgive()
        self.read_list()
        present = self._seek(None)
        if present.generation == root.generation:
            raise failure
        return present

    def require_not_older(self, root: upstream.Root) -> None:
        """Refuse a rollback, unless a certain generation was asked for."""
        if self._order.expected is None:
            newest = catalog.newest_header(self._volume, self._order.source.name)
            guards.require_not_older(root, newest, self._order.policy, self._clock.now())

    def _seek(self, former: upstream.Former | None) -> upstream.Root:
        self._order.progress(outcome.Progress(outcome.Phase.ROOT))
        lagging: list[upstream.Root] = []

        def ask(base: str, is_hurried: bool) -> upstream.Root:  # noqa: FBT001 - the shape that ``first`` wants
            known = former if former is not None and former.base == base else None
            try:
                root = self._fetch(base, known, is_hurried=is_hurried)
            except failures.UnavailableError as exc:
                self._mirrors.put_aside(base, exc)  # no repository there: nothing else need be asked for
                raise
            guards.require_expected(root, self._order.expected)
            self.require_not_older(root)
            if not self._is_present(root):
                lagging.append(root)
                raise _not_promised(root)
            return root

        try:
            found = self._mirrors.first(ask)
        except errors.UpstreamError:
            if not lagging:
                raise
            found = self._newest_of(lagging)
        return dataclasses.replace(found, warnings=(*self._warnings, *found.warnings))

    def _is_present(self, root: upstream.Root) -> bool:
        """Whether the root is what was promised; one that was never promised is refused."""
        if self._promise is None or self._promise.present.is_of(root.documents[0].content):
            return True
        if not any(version.is_of(root.documents[0].content) for version in self._promise.former):
            raise _not_promised(root)
        return False

    def _newest_of(self, lagging: list[upstream.Root]) -> upstream.Root:
        """Where all mirrors lag behind, the newest of the former versions that they may show."""
        newest = max(lagging, key=lambda root: root.timestamp)
        self._mirrors.readmit([root.base for root in lagging if root.generation == newest.generation])
        warning = f"Every mirror lags behind the metalink; {newest.base} shows a former version that it lists."
        return dataclasses.replace(newest, warnings=(*newest.warnings, warning))

    def _fetch(self, base: str, former: upstream.Former | None, *, is_hurried: bool) -> upstream.Root:
        """The root; a signature that does not fit is read again, since upstreams replace the two one by one."""
        try:
            return self._upstream.fetch_root(base, former, is_hurried=is_hurried)
        except failures.SignatureInvalidError:
            self._pause()
            return self._upstream.fetch_root(base, None, is_hurried=is_hurried)

    def _pause(self) -> None:
        self._clock.sleep(self._order.policy.restart_pause.total_seconds())


def _not_promised(root: upstream.Root) -> failures.DigestMismatchError:
    document = root.documents[0]
    return failures.DigestMismatchError(
        f"{root.base}{document.path} is not the version that the metalink promises.",
        hint="The last good generation stays. The mirrors lag behind, or one of them altered the file.",
    )
