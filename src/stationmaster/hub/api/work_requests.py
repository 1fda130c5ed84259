"""Operations on work requests: read them, their logs and errors; try again what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api import paging
from stationmaster.hub.api.call import Answer, Call, accepted, etag_of, resource
from stationmaster.hub.api.decoding import ListQuery
from stationmaster.hub.api.routes import OSMH, Route
from stationmaster.hub.api.wire import work as wire
from stationmaster.hub.api.wire.base import moment, moment_or_none
from stationmaster.hub.api.wire.instances import Collection
from stationmaster.hub.db import schema
from stationmaster.hub.services import reruns, work_requests
from stationmaster.model import moments


def get_request(call: Call, tx: sa.Connection) -> Answer:
    """GetWorkRequest. A client that waits is told to ask again soon."""
    row = work_requests.find(tx, call.path["workRequestId"])
    children = _children(tx, [row.id]).get(row.id, [])
    return resource(_shown(row, children), etag_of(row.id, row.revision), retry_after="2")


def list_requests(call: Call, tx: sa.Connection) -> Answer:
    """ListWorkRequests."""
    table = schema.work_requests.c
    page = paging.select_page(
        call,
        tx,
        _selected(call.query(wire.WorkRequestsQuery)),
        columns={"timeCreated": table.time_created, "displayName": table.display_name},
        id_column=table.id,
    )
    children = _children(tx, [row.id for row in page.items])
    return page.answer(Collection(items=[_summary(row, children.get(row.id, [])) for row in page.items]))


def list_logs(call: Call, tx: sa.Connection) -> Answer:
    """ListWorkRequestLogs: oldest first, unless the caller says otherwise."""
    return _lines(
        call,
        tx,
        schema.work_request_logs,
        lambda row: wire.WorkRequestLogEntry(message=row.message, timestamp=moment(row.time_logged)),
    )


def list_errors(call: Call, tx: sa.Connection) -> Answer:
    """ListWorkRequestErrors: oldest first, unless the caller says otherwise."""
    return _lines(
        call,
        tx,
        schema.work_request_errors,
        lambda row: wire.WorkRequestError(code=row.code, message=row.message, timestamp=moment(row.time_logged)),
    )


def rerun(call: Call, tx: sa.Connection) -> Answer:
    """RerunWorkRequest."""
    row = work_requests.find(tx, call.path["workRequestId"])
    call.require_match(etag_of(row.id, row.revision))
    details = call.body(wire.RerunDetails) if call.decoded_body is not None else wire.RerunDetails()
    return accepted(reruns.rerun(tx, call.now, call.actor, row, details.managed_instances))


def _lines(call: Call, tx: sa.Connection, table: sa.Table, show: Any) -> Answer:
    row = work_requests.find(tx, call.path["workRequestId"])
    rows = tx.execute(sa.select(table).where(table.c.work_request_id == row.id).order_by(table.c.id)).all()
    key = lambda one: f"{one.id:020}"  # noqa: E731 - lines are ordered as they came, whatever their times say
    page = paging.slice_page(
        call,
        rows,
        keys={"timeCreated": key, "displayName": key},
        item_id=key,
    )
    return page.answer(Collection(items=[show(one) for one in page.items]))


def _children(tx: sa.Connection, parent_ids: Sequence[str]) -> dict[str, list[str]]:
    table = schema.work_requests.c
    query = sa.select(table.parent_id, table.id).where(table.parent_id.in_(parent_ids))
    found: dict[str, list[str]] = {}
    for parent_id, child_id in tx.execute(query.order_by(table.time_created, table.id)):
        found.setdefault(parent_id, []).append(child_id)
    return found


def _selected(query: wire.WorkRequestsQuery) -> sa.Select[Any]:
    table = schema.work_requests
    columns = table.c
    equal = {
        columns.compartment_id: query.compartment_id,
        columns.id: query.work_request_id,
        columns.initiator_id: query.initiator_id,
        columns.parent_id: query.parent_id,
        columns.retry_of_id: query.retry_of_id,
        columns.rerun_of_id: query.rerun_of_id,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if query.compartment_id is not None and query.compartment_id_in_subtree:
        conditions[0] = columns.compartment_id.in_(_subtree(query.compartment_id))
    if query.status:
        conditions.append(columns.status.in_([one.value for one in query.status]))
    if query.operation_type:
        conditions.append(columns.operation_type.in_(query.operation_type))
    if query.display_name_contains:
        conditions.append(columns.display_name.icontains(query.display_name_contains, autoescape=True))
    if query.time_created_less_than is not None:
        conditions.append(columns.time_created < moments.as_utc(query.time_created_less_than))
    if query.time_created_greater_than_or_equal_to is not None:
        conditions.append(columns.time_created >= moments.as_utc(query.time_created_greater_than_or_equal_to))
    if query.resource_id is not None:
        named = sa.cast(columns.resources, sa.Text).contains(query.resource_id, autoescape=True)
        conditions.append(sa.or_(columns.managed_instance_id == query.resource_id, named))
    if query.is_managed_by_autonomous_linux:
        conditions.append(sa.false())
    return sa.select(table).where(*conditions)


def _subtree(compartment_id: str) -> sa.Select[Any]:
    table = schema.compartments
    tree = sa.select(table.c.id).where(table.c.id == compartment_id).cte("tree", recursive=True)
    tree = tree.union_all(sa.select(table.c.id).join(tree, table.c.parent_id == tree.c.id))
    return sa.select(tree.c.id)


def _common(row: Any, children: list[str]) -> dict[str, Any]:
    return {
        "operation_type": row.operation_type,
        "status": row.status,
        "id": row.id,
        "description": row.description,
        "display_name": row.display_name,
        "message": row.message,
        "parent_id": row.parent_id,
        "children_id": children,
        "compartment_id": row.compartment_id,
        "percent_complete": row.percent_complete,
        "time_created": moment(row.time_created),
        "time_scheduled": moment_or_none(row.time_scheduled),
        "is_managed_by_autonomous_linux": False,
        "reboot_timeout_in_mins": None,
        "time_finished": moment_or_none(row.time_finished),
    }


def _summary(row: Any, children: list[str]) -> wire.WorkRequestSummary:
    return wire.WorkRequestSummary(**_common(row, children))


def _shown(row: Any, children: list[str]) -> wire.WorkRequest:
    station = None
    if row.station_id is not None:
        station = wire.WorkRequestManagementStationDetails(
            management_station_version=None,
            config=None,
            software_source_ids=row.payload.get("softwareSourceIds", []),
        )
    return wire.WorkRequest(
        **_common(row, children),
        resources=row.resources,
        package_names=row.payload.get("packageNames", []),
        windows_update_names=[],
        module_specs=[],
        time_updated=moment(row.time_updated),
        time_started=moment_or_none(row.time_started),
        initiator_id=row.initiator_id,
        management_station=station,
        content_location=None,
        event_id=None,
        content_checksum=None,
        retry_of_id=row.retry_of_id,
        rerun_of_id=row.rerun_of_id,
        retry_intervals=row.retry_intervals,
        snap_specs=[],
    )


class LinesQuery(ListQuery, frozen=True):
    """Lines are read from the first to the last."""

    @property
    def is_descending(self) -> bool:
        """Only when asked for."""
        return self.sort_order == "DESC"


_ALL = f"{OSMH}/workRequests"
_ONE = f"{_ALL}/{{workRequestId}}"
ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=_ALL, handler=list_requests, query=wire.WorkRequestsQuery),
    Route(method="GET", path=_ONE, handler=get_request),
    Route(method="GET", path=f"{_ONE}/logs", handler=list_logs, query=LinesQuery),
    Route(method="GET", path=f"{_ONE}/errors", handler=list_errors, query=LinesQuery),
    Route(method="POST", path=f"{_ONE}/actions/rerun", handler=rerun, body=wire.RerunDetails, is_body_optional=True),
)
