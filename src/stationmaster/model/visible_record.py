"""What a group shows, and what a restart without the hub needs to show it again (R12, I9, ADR 22). Pure.

The hub signs it; it lies in each station's state directory and on each volume, where others may write: it says nothing
secret, and is believed by its signature alone. It confirms nobody (ADR 17).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from stationmaster.model import digest, protocol

FORMAT_VERSION = 1
# What is signed begins with this, so that no signature over a certificate can be taken for one over a record.
SIGNED_PREFIX = b"stationmaster visible record\n"
HIGHEST_COUNTER = 2**40
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class VisibleRecord(protocol.Message, frozen=True, kw_only=True):
    """``counter`` rises per group with each change; of two records of a group the higher one holds.

    ``sources`` are what all members mirror (I3). They and ``stations`` are as in a desired state, without what is
    secret and without what each member would only repeat.
    """

    format_version: int = FORMAT_VERSION
    group_id: str
    counter: int
    time_signed: datetime.datetime
    visible: list[protocol.Visible]
    sources: list[protocol.MirrorSource]
    stations: list[protocol.StationDesired]

    def names(self, station_id: str) -> bool:
        """Whether the station is a member of the group."""
        return any(one.station_id == station_id for one in self.stations)


def compose(
    group_id: str, stations: Iterable[protocol.StationDesired], visible: Mapping[str, protocol.Visible]
) -> VisibleRecord:
    """The record of a group, neither numbered nor dated: equal for equal facts. ``stations`` are all its members."""
    members = sorted(stations, key=lambda one: one.station_id)
    sources = [_plain_source(source) for source in members[0].sources] if members else []
    return VisibleRecord(
        group_id=group_id,
        counter=0,
        time_signed=_EPOCH,
        visible=[visible[source.source_id] for source in sources if source.source_id in visible],
        sources=sources,
        stations=[_plain_station(member) for member in members],
    )


def content_digest(record: VisibleRecord) -> str:
    """Changes when anything but counter and time does."""
    return digest.digest_of(msgspec.structs.replace(record, counter=0, time_signed=_EPOCH))


def next_counter(stored: int, reported: Iterable[int]) -> int:
    """R8: higher than any that a station was ever given, also by a hub that came back from a backup."""
    return max([stored, *(one for one in reported if one < HIGHEST_COUNTER)]) + 1


def is_newer(heard: VisibleRecord, known: VisibleRecord | None) -> bool:
    """Whether a record takes the place of another; a station that moved between groups goes by the time."""
    if known is None:
        return True
    if heard.group_id == known.group_id:
        return heard.counter > known.counter
    return heard.time_signed > known.time_signed


def newest(found: Sequence[VisibleRecord]) -> VisibleRecord | None:
    """The one among records of several groups that was signed last."""
    return max(found, key=lambda one: (one.time_signed, one.counter), default=None)


def desired_of(
    record: VisibleRecord, station_id: str, former: protocol.StationDesired | None, forward_proxy: str | None
) -> protocol.StationDesired | None:
    """What a member should be by a record, completed by what only the station itself remembers; None for others."""
    plain = next((one for one in record.stations if one.station_id == station_id), None)
    if plain is None:
        return None
    remembered = {source.source_id: source for source in former.sources} if former else {}
    return msgspec.structs.replace(
        plain,
        sources=[_completed(source, remembered.get(source.source_id)) for source in record.sources],
        forward_proxy=former.forward_proxy if former else forward_proxy,
        instance_setup_script=former.instance_setup_script if former else "",
    )


def _plain_source(source: protocol.MirrorSource) -> protocol.MirrorSource:
    """Without passwords, and without the number that rises with each sync."""
    return msgspec.structs.replace(source, access=None, sync_number=0)


def _plain_station(station: protocol.StationDesired) -> protocol.StationDesired:
    """Without the forward proxy, which may carry a password, and what is in the record once."""
    return msgspec.structs.replace(station, sources=[], forward_proxy=None, instance_setup_script="")


def _completed(source: protocol.MirrorSource, former: protocol.MirrorSource | None) -> protocol.MirrorSource:
    """A password goes to the address that it was given for, and to no other."""
    if former is None:
        return source
    access = former.access if former.url == source.url else None
    return msgspec.structs.replace(source, access=access, sync_number=former.sync_number)
