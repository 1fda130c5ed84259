"""Operations on HA groups, their balancers, and drain."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from stationmaster.hub.api import group_shapes
from stationmaster.hub.api.call import Answer, Call, empty
from stationmaster.hub.api.routes import OWN, Route, Transaction
from stationmaster.hub.api.wire import groups as wire
from stationmaster.hub.services import ha_groups, port_changes, stations
from stationmaster.model import ports, protocol


def list_groups(call: Call, tx: sa.Connection) -> Answer:
    """GET groups: as the hub sees them now."""
    query = call.query(wire.GroupsQuery)
    heads = ha_groups.find_heads(tx, query.hostname, query.compartment_id)
    return Answer(200, wire.GroupCollection(items=[group_shapes.group(tx, call.now, call.hub, head) for head in heads]))


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
        can_end_tls=view.can_end_tls,
        also_ports=view.also_ports,
    )
    return Answer(200, body)


def put_balancers(call: Call, tx: sa.Connection) -> Answer:
    """PUT groups/balancers: where a running balancer connects from, or what an operator states."""
    details = call.body(wire.BalancersDetails)
    head = ha_groups.find_group(tx, details.hostname, details.compartment_id)
    found = ha_groups.state_balancers(tx, call.now, call.actor, head, details.node, details.addresses, details.serves)
    return Answer(200, wire.Balancers(addresses=found))


def change_ports(call: Call, tx: sa.Connection) -> Answer:
    """POST groups/changePorts: all stations of a group go over to other ports, or back (ADR 24)."""
    details = call.body(wire.ChangePortsDetails)
    head = ha_groups.find_group(tx, details.hostname, details.compartment_id)
    order = port_changes.Order(
        wanted=ports.PortTriple(details.proxy, details.http, details.https),
        at_least=datetime.timedelta(seconds=details.keep_at_least_seconds),
        at_most=datetime.timedelta(seconds=details.keep_at_most_seconds),
    )
    port_changes.begin(tx, call.now, call.actor, call.hub, head, order)
    return Answer(200, group_shapes.ports_of(tx, call.now, call.hub, head))


def get_ports(call: Call, tx: sa.Connection) -> Answer:
    """GET groups/ports: what clients are told, and how far a change-over is."""
    query = call.query(wire.GroupQuery)
    head = ha_groups.find_group(tx, query.hostname, query.compartment_id)
    return Answer(200, group_shapes.ports_of(tx, call.now, call.hub, head))


def issue_certificate(call: Call, tx: sa.Connection) -> Answer:
    """POST groups/certificate: for a balancer that ends TLS; its key stays with it."""
    details = call.body(wire.CertificateDetails)
    head = ha_groups.find_group(tx, details.hostname, details.compartment_id)
    chain = ha_groups.sign_certificate(tx, call.now, call.hub, call.actor, head, details.request)
    return Answer(200, protocol.CertificateAnswer(chain=chain))


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


_GROUP, _BALANCERS, _CERTIFICATE = wire.GroupQuery, wire.BalancersDetails, wire.CertificateDetails
_PORTS, _CHAIN = wire.ChangePortsDetails, protocol.CertificateAnswer
_STATION, _GROUPS = f"{OWN}/stations/{{stationId}}", f"{OWN}/groups"
ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=_GROUPS, handler=list_groups, query=wire.GroupsQuery, answers=wire.GroupCollection),
    Route(method="GET", path=f"{_GROUPS}/balancer", handler=get_balancer, query=_GROUP, answers=wire.BalancerView),
    Route(
        method="PUT",
        path=f"{_GROUPS}/balancers",
        handler=put_balancers,
        body=_BALANCERS,
        answers=wire.Balancers,
        transaction=Transaction.DECISION,
    ),
    Route(method="POST", path=f"{_GROUPS}/changePorts", handler=change_ports, body=_PORTS, answers=wire.PortChange),
    Route(method="GET", path=f"{_GROUPS}/ports", handler=get_ports, query=_GROUP, answers=wire.PortChange),
    Route(method="POST", path=f"{_GROUPS}/certificate", handler=issue_certificate, body=_CERTIFICATE, answers=_CHAIN),
    Route(method="POST", path=f"{_STATION}/drain", handler=drain),
    Route(method="POST", path=f"{_STATION}/undrain", handler=undrain),
)
