"""What a station's daemon calls: its heartbeat, and the certificate of its mirror."""

from __future__ import annotations

import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Access, Route, Transaction
from stationmaster.hub.services import heartbeat
from stationmaster.model import protocol

_LARGEST_REPORT = 16 << 20


def receive_heartbeat(call: Call, tx: sa.Connection) -> Answer:
    """POST stations/{stationId}/heartbeat."""
    station = heartbeat.require_own(tx, call.path["stationId"], call.principal.id)
    return Answer(200, heartbeat.receive(tx, call.now, call.hub, station, call.body(protocol.StationHeartbeat)))


def issue_certificate(call: Call, tx: sa.Connection) -> Answer:
    """POST stations/{stationId}/certificate. The hub decides the names, whatever the request asks for."""
    station = heartbeat.require_own(tx, call.path["stationId"], call.principal.id)
    request = call.body(protocol.CertificateRequest).request
    names = heartbeat.certificate_names(tx, call.hub, station)
    chain = call.hub.authority.issue(request, names, call.now, holder=station.id)
    return Answer(200, protocol.CertificateAnswer(chain=chain))


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{OWN}/stations/{{stationId}}/heartbeat",
        handler=receive_heartbeat,
        body=protocol.StationHeartbeat,
        answers=protocol.HeartbeatAnswer,
        access=Access.MACHINES,
        transaction=Transaction.FACT,
        takes_retry_token=False,
        max_body_bytes=_LARGEST_REPORT,
    ),
    Route(
        method="POST",
        path=f"{OWN}/stations/{{stationId}}/certificate",
        handler=issue_certificate,
        body=protocol.CertificateRequest,
        answers=protocol.CertificateAnswer,
        access=Access.MACHINES,
        transaction=Transaction.READ,
        takes_retry_token=False,
        max_body_bytes=1 << 16,
    ),
)
