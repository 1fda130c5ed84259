"""What a balancer needs to know of its group."""

from __future__ import annotations

import enum

from stationmaster.model.protocol.messages import Message, Ports


class ServerState(enum.StrEnum):
    """Whether a balancer may send work to a station; whether it is ready is for the balancer's own checks."""

    IN_ROTATION = "IN_ROTATION"
    DRAINING = "DRAINING"
    NO_ADDRESS = "NO_ADDRESS"


class BalancedServer(Message, frozen=True):
    """A station as a balancer sees it; ``ports`` demand the PROXY protocol, ``direct_ports`` do not."""

    station_id: str
    display_name: str
    address: str | None
    ports: Ports
    direct_ports: Ports
    state: ServerState
    agent_port: int = 0  # HAProxy's agent check; 0 for none


class BalancerView(Message, frozen=True):
    """All a balancer of one group needs to know; ``digest`` changes when anything else does.

    ``can_end_tls``: clients trust the hub's CA for the group's name, since no station shows a certificate of its own.
    ``also_ports``: clients come to these as well, while the ports of the group change (ADR 24).
    """

    hostname: str
    group_id: str
    ports: Ports
    servers: list[BalancedServer]
    can_end_tls: bool = False
    digest: str = ""
    also_ports: Ports | None = None
