"""Operations on the packages of managed instances: what is there, and orders to change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api import paging
from stationmaster.hub.api.call import Answer, Call, accepted, etag_of
from stationmaster.hub.api.routes import OSMH, Handler, Route
from stationmaster.hub.api.wire import instances as wire
from stationmaster.hub.api.wire.base import moment
from stationmaster.hub.api.wire.sources import SoftwareSourceDetails
from stationmaster.hub.db import schema
from stationmaster.hub.services import checkin, compartments, managed_instances, package_jobs
from stationmaster.model import dispatch, moments, protocol

_SEPARATOR = "\n"


def install_packages(call: Call, tx: sa.Connection) -> Answer:
    """InstallPackagesOnManagedInstance."""
    details = call.body(wire.PackagesDetails)
    return _ordered(call, tx, [("INSTALL_PACKAGES", details.package_names)], details.work_request_details)


def remove_packages(call: Call, tx: sa.Connection) -> Answer:
    """RemovePackagesFromManagedInstance."""
    details = call.body(wire.PackagesDetails)
    return _ordered(call, tx, [("REMOVE_PACKAGES", details.package_names)], details.work_request_details)


def update_packages(call: Call, tx: sa.Connection) -> Answer:
    """UpdatePackagesOnManagedInstance."""
    details = call.body(wire.UpdatePackagesDetails)
    operations = package_jobs.update_operations(details.package_names, details.update_types)
    return _ordered(call, tx, operations, details.work_request_details)


def refresh_software(call: Call, tx: sa.Connection) -> Answer:
    """RefreshSoftwareOnManagedInstance."""
    return _ordered(call, tx, [(dispatch.LIST_PACKAGES, [])], None)


def update_all_in_compartment(call: Call, tx: sa.Connection) -> Answer:
    """UpdateAllPackagesOnManagedInstancesInCompartment: all but the stations' own hosts and those that are leaving."""
    details = call.body(wire.UpdateAllInCompartmentDetails)
    compartments.find(tx, details.compartment_id)
    table = schema.managed_instances
    query = sa.select(table).where(
        table.c.compartment_id == details.compartment_id,
        table.c.lifecycle_state != "DELETING",
        table.c.is_management_station.is_(False),
    )
    instances = tx.execute(query.order_by(table.c.id)).all()
    operations = package_jobs.update_operations(None, details.update_types)
    named = _named(details.work_request_details)
    return accepted(package_jobs.order(tx, call.now, call.actor, instances, operations, **named))


def list_installed(call: Call, tx: sa.Connection) -> Answer:
    """ListManagedInstanceInstalledPackages."""
    query = call.query(wire.PackagesQuery)
    first = moments.as_utc_or_none(query.time_install_date_start)
    last = moments.as_utc_or_none(query.time_install_date_end)
    found = [
        one
        for one in _inventory(call, tx).installed
        if (first is None or (one.time_installed is not None and moments.as_utc(one.time_installed) >= first))
        and (last is None or (one.time_installed is not None and moments.as_utc(one.time_installed) <= last))
    ]
    return _listed(call, tx, found, _shown_installed)


def list_updatable(call: Call, tx: sa.Connection) -> Answer:
    """ListManagedInstanceUpdatablePackages."""
    return _listed(call, tx, _inventory(call, tx).updatable, _shown_updatable)


def list_available(call: Call, tx: sa.Connection) -> Answer:
    """ListManagedInstanceAvailablePackages: what the agent found in its sources and could install."""
    return _listed(call, tx, _inventory(call, tx).updatable, _shown_available)


def _ordered(
    call: Call,
    tx: sa.Connection,
    operations: Sequence[tuple[str, Sequence[str]]],
    named: wire.WorkRequestDetails | None,
) -> Answer:
    row = managed_instances.find(tx, call.path["managedInstanceId"])
    call.require_match(etag_of(row.id, row.revision))
    return accepted(package_jobs.order(tx, call.now, call.actor, [row], operations, **_named(named)))


def _named(details: wire.WorkRequestDetails | None) -> dict[str, Any]:
    if details is None:
        return {}
    return {"display_name": details.display_name, "description": details.description}


def _inventory(call: Call, tx: sa.Connection) -> protocol.Inventory:
    row = managed_instances.find(tx, call.path["managedInstanceId"])
    return checkin.read_inventory(tx, row.id)


def _listed(
    call: Call,
    tx: sa.Connection,
    packages: Sequence[protocol.Package],
    show: Callable[[Call, Any, protocol.Package, list[SoftwareSourceDetails]], wire.PackageSummary],
) -> Answer:
    query = call.query(wire.PackagesQuery)
    row = managed_instances.find(tx, call.path["managedInstanceId"])
    sources = {
        one.id: SoftwareSourceDetails(
            id=one.id,
            display_name=one.display_name,
            description=one.description,
            software_source_type=one.software_source_type,
        )
        for one in managed_instances.attached_sources(tx, row.id)
    }
    contained = (query.display_name_contains or "").lower()
    found = [
        one
        for one in packages
        if (not query.display_name or one.name in query.display_name) and contained in one.name.lower()
    ]
    oldest = row.time_created
    page = paging.slice_page(
        call,
        found,
        keys={
            "displayName": lambda one: one.name,
            "timeCreated": lambda one: one.time_installed or oldest,
            "timeInstalled": lambda one: one.time_installed or oldest,
        },
        item_id=lambda one: _SEPARATOR.join((one.name, one.version, one.architecture)),
    )
    items = [show(call, row, one, [sources[one.source_id]] if one.source_id in sources else []) for one in page.items]
    return page.answer(wire.Collection(items=items))


def _shown_installed(
    call: Call, row: Any, package: protocol.Package, sources: list[SoftwareSourceDetails]
) -> wire.PackageSummary:
    del call
    return wire.PackageSummary(
        **_common(package, sources),
        version=package.version,
        package_classification="INSTALLED",
        # The SDK wants a time; where the package manager keeps none, it was there when the instance registered.
        time_installed=moment(package.time_installed or row.time_created),
    )


def _shown_updatable(
    call: Call, row: Any, package: protocol.Package, sources: list[SoftwareSourceDetails]
) -> wire.PackageSummary:
    del call, row
    return wire.PackageSummary(
        **_common(package, sources),
        version=package.available_version or package.version,
        package_classification="UPDATABLE",
        installed_version=package.version,
        update_type="OTHER",
    )


def _shown_available(
    call: Call, row: Any, package: protocol.Package, sources: list[SoftwareSourceDetails]
) -> wire.PackageSummary:
    del call, row
    return wire.PackageSummary(
        **_common(package, sources),
        version=package.available_version or package.version,
        package_classification="AVAILABLE",
    )


def _common(package: protocol.Package, sources: list[SoftwareSourceDetails]) -> dict[str, Any]:
    return {
        "display_name": package.name,
        "name": package.name,
        "type": "package",
        "architecture": _ARCHITECTURES.get(package.architecture.lower(), "OTHER"),
        "software_sources": sources,
    }


_ARCHITECTURES = {
    "x86_64": "X86_64",
    "amd64": "X86_64",
    "aarch64": "AARCH64",
    "arm64": "AARCH64",
    "i386": "I386",
    "i686": "I686",
    "noarch": "NOARCH",
    "all": "NOARCH",
    "src": "SRC",
}

_ONE = f"{OSMH}/managedInstances/{{managedInstanceId}}"
_ORDERS: tuple[tuple[str, Handler, Any], ...] = (
    ("installPackages", install_packages, wire.PackagesDetails),
    ("removePackages", remove_packages, wire.PackagesDetails),
    ("updatePackages", update_packages, wire.UpdatePackagesDetails),
    ("refreshSoftware", refresh_software, None),
)
_LISTS: tuple[tuple[str, Handler], ...] = (
    ("installedPackages", list_installed),
    ("updatablePackages", list_updatable),
    ("availablePackages", list_available),
)
ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{OSMH}/managedInstances/actions/updatePackages",
        handler=update_all_in_compartment,
        body=wire.UpdateAllInCompartmentDetails,
    ),
    *(
        Route(method="POST", path=f"{_ONE}/actions/{name}", handler=handler, body=body)
        for name, handler, body in _ORDERS
    ),
    *(
        Route(method="GET", path=f"{_ONE}/{name}", handler=handler, query=wire.PackagesQuery)
        for name, handler in _LISTS
    ),
)
