"""What a balancer does while the ports of its group change (ADR 24)."""

from __future__ import annotations

from stationmaster.balancer import haproxy, nginx, program, spec
from stationmaster.model import protocol

VIEW = protocol.BalancerView(
    hostname="lb.example.com",
    group_id="g",
    ports=protocol.Ports(proxy=16080, http=17080, https=17443),
    servers=[
        protocol.BalancedServer(
            station_id="ocid1.station.a",
            display_name="A",
            address="10.0.0.1",
            ports=protocol.Ports(proxy=16081, http=17081, https=17444),
            direct_ports=protocol.Ports(proxy=16080, http=17080, https=17443),
            state=protocol.ServerState.IN_ROTATION,
            agent_port=17082,
        )
    ],
    also_ports=protocol.Ports(proxy=26080, http=27080, https=17443),
)
SPEC = spec.balancer_spec(VIEW)


def test_clients_come_to_both_sets_of_ports_while_they_change() -> None:
    """ADR 24: one backend behind old and new; a port that stays is bound once."""
    text = haproxy.render_haproxy(SPEC)[haproxy.FILE_NAME]
    assert "frontend mirror-http\n    mode http\n    bind *:17080\n    bind *:27080\n" in text
    assert text.count("17443\n") == 1
    assert haproxy.haproxy_ports(SPEC) == (16080, 26080, 17080, 27080, 17443)
    assert "listen 17080;\n        listen 27080;\n" in nginx.render_nginx(SPEC)[nginx.FILE_NAME]


def test_a_kept_server_state_does_not_bring_back_a_former_port() -> None:
    """Met in the trial of ADR 24: a reload with the state file went on using the port that the stations closed."""
    server = SPEC.servers[0]
    fields = f"3 mirror-http-last 7 {server.name} 10.9.9.9 2 0 100 100 5 6 3 4 6 0 0 1 - 999 - 0 0 - - 998".split()
    found = program.at_its_place(" ".join(fields), SPEC).split()
    assert [found[4], found[18], found[21], found[24]] == ["10.0.0.1", "17081", "0", "17082"]
    assert [one for index, one in enumerate(found) if index not in {4, 18, 24}] == [
        one for index, one in enumerate(fields) if index not in {4, 18, 24}
    ]
    for other in ("1", "# be_id be_name srv_id", fields[0] + " other " + " ".join(fields[2:])):
        assert program.at_its_place(other, SPEC) == other
