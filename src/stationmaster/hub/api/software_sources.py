"""Operations on software sources of the types PRIVATE and THIRD_PARTY."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api import paging
from stationmaster.hub.api.call import Answer, Call, empty, etag_of, resource
from stationmaster.hub.api.routes import OSMH, Route
from stationmaster.hub.api.wire import base
from stationmaster.hub.api.wire import sources as wire
from stationmaster.hub.api.wire.stations import ChangeCompartmentDetails
from stationmaster.hub.db import schema
from stationmaster.hub.services import own_profiles, software_sources
from stationmaster.model import errors, upstream_access


def create_source(call: Call, tx: sa.Connection) -> Answer:
    """CreateSoftwareSource: 201 with a location, as the real service does."""
    details = call.body(wire.CreateSoftwareSourceDetails)
    row = software_sources.create(tx, call.now, call.actor, details, _kind(details))
    location = f"{call.hub.public_url}{OSMH}/softwareSources/{row.id}"
    return resource(_full(tx, row), etag_of(row.id, row.revision), status=201, location=location)


def get_source(call: Call, tx: sa.Connection) -> Answer:
    """GetSoftwareSource."""
    row = software_sources.find(tx, call.path["softwareSourceId"])
    return resource(_full(tx, row), etag_of(row.id, row.revision))


def list_sources(call: Call, tx: sa.Connection) -> Answer:
    """ListSoftwareSources."""
    table = schema.software_sources.c
    page = paging.select_page(
        call,
        tx,
        _selected(call.query(wire.SourcesQuery)),
        columns={"timeCreated": table.time_created, "displayName": table.display_name},
        id_column=table.id,
    )
    counts = software_sources.counts(tx)
    items = [_summary(row, *counts.get(row.id, (0, 0))) for row in page.items]
    return page.answer(wire.SoftwareSourceCollection(items=items))


def update_source(call: Call, tx: sa.Connection) -> Answer:
    """UpdateSoftwareSource."""
    row, details = _matching(call, tx), call.body(wire.UpdateSoftwareSourceDetails)
    if _kind(details).value != row.software_source_type:
        raise errors.CallerError(
            f"softwareSourceType is {_kind(details).value}, but the source is of type {row.software_source_type}."
        )
    row = software_sources.update(tx, call.now, call.actor, row, details)
    return resource(_full(tx, row), etag_of(row.id, row.revision))


def delete_source(call: Call, tx: sa.Connection) -> Answer:
    """DeleteSoftwareSource."""
    software_sources.delete(tx, call.now, call.actor, _matching(call, tx))
    return empty()


def change_compartment(call: Call, tx: sa.Connection) -> Answer:
    """ChangeSoftwareSourceCompartment."""
    wanted = call.body(ChangeCompartmentDetails).compartment_id
    software_sources.move(tx, call.now, call.actor, _matching(call, tx), wanted)
    return empty(200)


def _matching(call: Call, tx: sa.Connection) -> Any:
    row = software_sources.find(tx, call.path["softwareSourceId"])
    call.require_match(etag_of(row.id, row.revision))
    return row


def _kind(details: wire.CreateSoftwareSourceDetails | wire.UpdateSoftwareSourceDetails) -> base.SourceType:
    return base.SourceType(str(details.__struct_config__.tag))


def _selected(query: wire.SourcesQuery) -> sa.Select[Any]:
    table = schema.software_sources.c
    statement = sa.select(schema.software_sources)
    families = [one for one in base.OsFamily if own_profiles.vendor_of(one) is query.vendor_name]
    one_of: list[tuple[sa.ColumnElement[Any], list[Any]]] = [
        (table.software_source_type, list(query.software_source_type)),
        (table.os_family, list(query.os_family)),
        (table.arch_type, list(query.arch_type)),
        (table.availability, list(query.availability)),
        (table.availability_at_oci, list(query.availability_at_oci)),
        (table.lifecycle_state, list(query.lifecycle_state)),
        (table.compartment_id, [query.compartment_id] if query.compartment_id else []),
        (table.id, [query.software_source_id] if query.software_source_id else []),
        (table.display_name, [query.display_name] if query.display_name else []),
        (table.os_family, families if query.vendor_name else []),
    ]
    for column, values in one_of:
        if values:
            statement = statement.where(column.in_(values))
    if query.availability_anywhere:
        anywhere = [
            column.in_(query.availability_anywhere) for column in (table.availability, table.availability_at_oci)
        ]
        statement = statement.where(sa.or_(*anywhere))
    if query.is_mirror_sync_allowed is not None:
        statement = statement.where(table.is_mirror_sync_allowed == query.is_mirror_sync_allowed)
    if query.is_mandatory_for_autonomous_linux:
        statement = statement.where(sa.false())
    if query.display_name_contains:
        statement = statement.where(table.display_name.icontains(query.display_name_contains, autoescape=True))
    if query.display_name_not_equal_to:
        statement = statement.where(table.display_name.not_in(query.display_name_not_equal_to))
    return statement


def _shared(row: Any, packages: int, size: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "compartment_id": row.compartment_id,
        "display_name": row.display_name,
        "repo_id": row.repo_id,
        "url": row.url,
        "time_created": base.moment(row.time_created),
        "description": row.description,
        "software_source_type": row.software_source_type,
        "availability": row.availability,
        "availability_at_oci": row.availability_at_oci,
        "os_family": row.os_family,
        "arch_type": row.arch_type,
        "package_count": packages,
        "lifecycle_state": row.lifecycle_state,
        "size": float(size),
        "freeform_tags": row.freeform_tags,
        "defined_tags": base.shown_tags(row.defined_tags, row.created_by, row.time_created),
        "system_tags": {},
        "is_mirror_sync_allowed": row.is_mirror_sync_allowed,
    }


def _full(tx: sa.Connection, row: Any) -> wire.SoftwareSource:
    return wire.SoftwareSource(
        **_shared(row, *software_sources.counts(tx).get(row.id, (0, 0))),
        checksum_type="SHA256",
        gpg_key_url=row.gpg_key_url,
        gpg_key_id=None,
        gpg_key_fingerprint=None,
        is_gpg_check_enabled=row.is_gpg_check_enabled,
        is_ssl_verify_enabled=row.is_ssl_verify_enabled,
        advanced_repo_options=upstream_access.masked(row.advanced_repo_options),
    )


def _summary(row: Any, packages: int, size: int) -> wire.SoftwareSourceSummary:
    return wire.SoftwareSourceSummary(**_shared(row, packages, size), time_updated=base.moment(row.time_updated))


_ALL = f"{OSMH}/softwareSources"
_ONE = f"{_ALL}/{{softwareSourceId}}"
ROUTES = (
    Route(method="POST", path=_ALL, handler=create_source, body=wire.CreateAny),
    Route(method="GET", path=_ALL, handler=list_sources, query=wire.SourcesQuery),
    Route(method="GET", path=_ONE, handler=get_source),
    Route(method="PUT", path=_ONE, handler=update_source, body=wire.UpdateAny),
    Route(method="DELETE", path=_ONE, handler=delete_source),
    Route(
        method="POST",
        path=f"{_ONE}/actions/changeCompartment",
        handler=change_compartment,
        body=ChangeCompartmentDetails,
    ),
)
