"""Operations on HA groups, their balancers, and drain."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call, empty
from stationmaster.hub.api.routes import OWN, Route, Transaction
from stationmaster.hub.api.wire import groups as wire
from stationmaster.hub.api.wire.common import moment, moment_or_none
from stationmaster.hub.services import facts, group_view, ha_groups, heartbeat, stations
from stationmaster.model import digest, rotation, visibility


def list_groups(call: Call, tx: sa.Connection) -> Answer:
    """GET groups: as the hub sees them now."""
    query = call.query(wire.GroupsQuery)
    heads = ha_groups.find_heads(tx, query.hostname, query.compartment_id)
    return Answer(200, wire.GroupCollection(items=[_shown(call, tx, head) for head in heads]))


def get_balancer(call: Call, tx: sa.Connection) -> Answer:
    """GET groups/balancer: what a balancer of the group needs to know."""
    query = call.query(wire.GroupQuery)
    view = ha_groups.balancer_view(tx, ha_groups.find_group(tx, query.hostname, query.compartment_id))
    body = wire.BalancerView(
        hostname=view.hostname,
        group_id=view.group_id,
        ports=wire.GroupPorts(
            proxy=view.ports.proxy,
            http=view.ports.http,
            https=view.ports.https,
            mirror_http=view.ports.http,
            mirror_https=view.ports.https,
        ),
        servers=view.servers,
        digest=view.digest,
    )
    return Answer(200, body)


def put_balancers(call: Call, tx: sa.Connection) -> Answer:
    """PUT groups/balancers: where a running balancer connects from, or what an operator states."""
    details = call.body(wire.BalancersDetails)
    head = ha_groups.find_group(tx, details.hostname, details.compartment_id)
    found = ha_groups.state_balancers(tx, call.now, call.actor, head, details.node, details.addresses)
    return Answer(200, wire.Balancers(addresses=found))


def drain(call: Call, tx: sa.Connection) -> Answer:
    """POST stations/{stationId}/drain."""
    station = stations.find(tx, call.path["stationId"], field="stationId")
    ha_groups.set_drain(tx, call.now, call.actor, station, is_draining=True)
    return empty()


def undrain(call: Call, tx: sa.Connection) -> Answer:
    """POST stations/{stationId}/undrain."""
    station = stations.find(tx, call.path["stationId"], field="stationId")
    ha_groups.set_drain(tx, call.now, call.actor, station, is_draining=False)
    return empty()


def _shown(call: Call, tx: sa.Connection, head: Any) -> wire.Group:
    view = group_view.view_group(tx, call.now, head)
    limits = group_view.limits_of(call.hub)
    reasons = ha_groups.reasons_for(tx, view)
    return wire.Group(
        id=view.group_id,
        hostname=view.hostname,
        compartment_id=view.compartment_id,
        client_address=facts.station_facts(head).client_address,
        balancer_addresses=list(facts.balancer_addresses(tx, view.group_id, call.now)),
        stations=[_station(call, tx, view, member, limits) for member in view.members],
        sources=[_source(view, source, limits, reasons.get(source.id, ())) for source in view.sources],
    )


def _station(
    call: Call, tx: sa.Connection, view: group_view.GroupView, member: Any, limits: rotation.Limits
) -> wire.GroupStation:
    time_received, report = view.reports.get(member.id, (None, None))
    in_rotation = all(
        member.id in {one.id for one in rotation.members(snapshot, limits)} for snapshot in view.snapshots.values()
    )
    is_in_touch = ha_groups.is_confirmed(call.hub, call.now, time_received)
    wanted = heartbeat.build_desired(tx, call.now, call.hub, member)
    return wire.GroupStation(
        id=member.id,
        display_name=member.display_name,
        addresses=list(member.addresses),
        is_registered=member.managed_instance_id is not None,
        is_draining=member.is_draining,
        is_in_touch=is_in_touch,
        is_in_rotation=is_in_touch and in_rotation,
        readiness=report.readiness.value if report else None,
        reasons=report.reasons if report else [],
        problems=report.problems if report else [],
        volume=report.volume if report else None,
        time_last_heartbeat=moment_or_none(time_received),
        daemon_version=report.daemon_version if report else None,
        is_applied=report is not None and report.applied_digest == digest.digest_of(wanted),
    )


def _source(
    view: group_view.GroupView, source: Any, limits: rotation.Limits, reasons: tuple[str, ...]
) -> wire.GroupSource:
    snapshot = view.snapshots[source.id]
    return wire.GroupSource(
        id=source.id,
        display_name=source.display_name,
        repo_id=source.repo_id,
        format=source.format,
        reasons=list(reasons),
        visible=snapshot.visible,
        sync_number=snapshot.sync_number,
        stations=[_source_on_station(view, source.id, member.id) for member in view.members],
        decision=visibility.decide(snapshot, limits).reason,
    )


def _source_on_station(view: group_view.GroupView, source_id: str, station_id: str) -> wire.SourceOnStation:
    report, lag = view.report_of(station_id, source_id), view.lags.get((station_id, source_id))
    return wire.SourceOnStation(
        station_id=station_id,
        held=report.held if report else [],
        shown=report.shown if report else None,
        sync=report.sync if report else None,
        time_behind=moment(lag.time_behind) if lag is not None else None,
        time_excluded=moment_or_none(lag.time_excluded) if lag is not None else None,
    )


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=f"{OWN}/groups", handler=list_groups, query=wire.GroupsQuery),
    Route(method="GET", path=f"{OWN}/groups/balancer", handler=get_balancer, query=wire.GroupQuery),
    Route(
        method="PUT",
        path=f"{OWN}/groups/balancers",
        handler=put_balancers,
        body=wire.BalancersDetails,
        transaction=Transaction.DECISION,
    ),
    Route(method="POST", path=f"{OWN}/stations/{{stationId}}/drain", handler=drain),
    Route(method="POST", path=f"{OWN}/stations/{{stationId}}/undrain", handler=undrain),
)
