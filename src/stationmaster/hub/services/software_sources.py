"""Software sources by URL: made, changed, moved, removed."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.wire import base
from stationmaster.hub.api.wire import sources as wire
from stationmaster.hub.db import schema
from stationmaster.hub.services import compartments, events, facts, references, source_config, sync_requests
from stationmaster.model import errors, ocid

_READ_ELSEWHERE = frozenset({"url", "advanced_repo_options", "gpg_key_url", "is_gpg_check_enabled"})


def find(tx: sa.Connection, source_id: str, *, field: str = "softwareSourceId") -> Any:
    """The source; CallerError when the id is no OCID, NotFoundError when it is unknown."""
    ocid.require_ocid(source_id, field=field)
    table = schema.software_sources
    row = tx.execute(sa.select(table).where(table.c.id == source_id)).one_or_none()
    if row is None:
        raise errors.NotFoundError(f"Unknown software source {source_id}.")
    return row


def find_all(tx: sa.Connection, source_ids: Iterable[str], *, field: str) -> list[Any]:
    """All of them in the order given, each once."""
    return [find(tx, source_id, field=field) for source_id in dict.fromkeys(source_ids)]


def create(
    tx: sa.Connection,
    now: datetime.datetime,
    actor: events.Actor,
    details: wire.CreateSoftwareSourceDetails,
    kind: base.SourceType,
) -> Any:
    """A new source, ACTIVE at once: whether its repository can be read shows when a station first syncs it."""
    compartments.find(tx, details.compartment_id)
    columns = source_config.columns_of_new(details, kind)
    source_id = ocid.mint(ocid.Kind.SOURCE, events.region_of(details.compartment_id))
    tx.execute(
        schema.software_sources.insert().values(
            id=source_id,
            **columns,
            repo_id=_free_repo_id(tx, kind, columns["display_name"], now),
            availability=base.Availability.SELECTED.value,
            availability_at_oci=base.Availability.SELECTED.value,
            gpg_keys=[],
            lifecycle_state="ACTIVE",
            created_by=actor.principal_id,
            time_created=now,
            time_updated=now,
            revision=1,
        )
    )
    row = find(tx, source_id)
    _tell(tx, now, actor, row, "SOURCE_CREATED", f"Software source {row.display_name} was created.")
    return row


def update(
    tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, details: wire.UpdateSoftwareSourceDetails
) -> Any:
    """The source with ``details`` applied; groups that mirror it sync it anew when it is read from elsewhere now."""
    columns = source_config.columns_of_change(details, row)
    if "compartment_id" in columns:
        compartments.find(tx, columns["compartment_id"])
    changed = sorted(name for name, value in columns.items() if value != getattr(row, name))
    if not changed:
        return row
    if "gpg_key_url" in changed:
        columns["gpg_keys"] = []
    table = schema.software_sources
    tx.execute(
        table.update().where(table.c.id == row.id).values(**columns, time_updated=now, revision=row.revision + 1)
    )
    new = find(tx, row.id)
    message = f"Software source {new.display_name} was changed: {', '.join(changed)}."
    _tell(tx, now, actor, new, "SOURCE_UPDATED", message)
    if _READ_ELSEWHERE & set(changed):
        sync_requests.ask_everywhere(tx, now, row.id)
    return new


def move(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, compartment_id: str) -> None:
    """Into another compartment; who uses it goes on doing so."""
    compartments.find(tx, compartment_id)
    table = schema.software_sources
    values = {"compartment_id": compartment_id, "time_updated": now, "revision": row.revision + 1}
    tx.execute(table.update().where(table.c.id == row.id).values(values))
    message = f"Software source {row.display_name} moved to compartment {compartment_id}."
    _tell(tx, now, actor, find(tx, row.id), "SOURCE_MOVED", message)


def delete(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any) -> None:
    """Gone from the hub; stations drop its mirror in their own time. Refused while it is in use."""
    references.require_source_unused(tx, row)
    tx.execute(schema.software_sources.delete().where(schema.software_sources.c.id == row.id))
    _tell(tx, now, actor, row, "SOURCE_DELETED", f"Software source {row.display_name} was deleted.")


def counts(tx: sa.Connection) -> Mapping[str, tuple[int, int]]:
    """By source, packages and bytes of the largest generation that a station holds now."""
    found: dict[str, tuple[int, int]] = {}
    stations = tx.execute(sa.select(schema.stations.c.id)).scalars().all()
    for _, report in facts.last_reports(tx, stations).values():
        for source in report.sources:
            for held in source.held:
                mine = (held.package_count, held.size_bytes)
                found[source.source_id] = max(mine, found.get(source.source_id, (0, 0)))
    return found


def fitting(family: base.OsFamily, arch: base.ArchType) -> sa.ColumnElement[bool]:
    """The condition under which a source has content for machines of a family and architecture (OSMH rule 73)."""
    columns = schema.software_sources.c
    machines = [one.value for one in base.ArchType if one.machine == arch.machine]
    return sa.and_(
        columns.os_family.in_([family.value, base.OsFamily.ALL.value]),
        columns.arch_type.in_([*machines, base.ArchType.NOARCH.value, base.ArchType.ALL.value]),
    )


def require_fitting(rows: Sequence[Any], family: base.OsFamily, arch: base.ArchType) -> None:
    """CallerError naming the first source that has nothing for machines of a family and architecture."""
    for row in rows:
        fits_family = row.os_family in (family.value, base.OsFamily.ALL.value)
        fits_arch = row.arch_type in ("NOARCH", "ALL") or base.ArchType(row.arch_type).machine == arch.machine
        if not fits_family or not fits_arch:
            raise errors.CallerError(
                f"Software source {row.display_name} ({row.id}) is for {row.os_family} {row.arch_type}, "
                f"not for {family.value} {arch.value}.",
                hint="Sources, profile and machines must agree in OS family and architecture.",
            )


def _free_repo_id(tx: sa.Connection, kind: base.SourceType, name: str, now: datetime.datetime) -> str:
    """Two of one name within a millisecond get different ones."""
    column = schema.software_sources.c.repo_id
    while True:
        wanted = source_config.repo_id(kind, name, now)
        if tx.execute(sa.select(column).where(column == wanted)).scalar_one_or_none() is None:
            return wanted
        now += datetime.timedelta(milliseconds=1)


def _tell(tx: sa.Connection, now: datetime.datetime, actor: events.Actor, row: Any, kind: str, message: str) -> None:
    subject = events.Subject(row.id, row.display_name, row.compartment_id)
    events.record(tx, now, kind, subject, message, actor=actor)
