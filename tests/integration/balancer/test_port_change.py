"""ADR 24 with real engines: all ports of a group change under load, and no client of the old or the new ones fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from stationmaster.model import port_change, ports, protocol
from stationmaster.testing import groups, loopback, sites

Ports = dict[str, int]


def wire(numbers: Ports) -> protocol.Ports:
    return protocol.Ports(**numbers)


def serve(group: groups.Group, told: port_change.PortSet, beside: port_change.PortSet | None) -> None:
    """Both stations, as their daemons would bring them there."""
    for one in group.stations.both():
        one.moved, one.beside = told, beside
        assert groups.wait_until(one.keep)


def follow(group: groups.Group, told: Ports, also: Ports | None) -> None:
    """The hub says so, and the balancer says that it serves it."""
    group.say(groups.view_of(group.stations, told, also=also))
    wanted = (wire(told), *([wire(also)] if also else []))

    def is_reported() -> bool:
        group.node.follower.poll()
        return bool(group.served) and group.served[-1] == wanted

    assert group.settles(is_reported)


def client(group: groups.Group, numbers: Ports) -> Callable[[], None]:
    """One round over all three ports."""

    def work() -> None:
        for path in (groups.LIST, f"/g/{sites.SOURCE}/{sites.GENERATION}/Packages/c%2B%2B-1.0~a.x86_64.rpm"):
            answer = loopback.fetch(numbers["http"], path, source=groups.CLIENT)
            assert answer.status == 200, answer
        with groups.tunnel(numbers["proxy"], group.stations.hub_port) as connection:
            groups.echo(connection)

    return work


@contextlib.contextmanager
def working(group: groups.Group, numbers: Ports) -> Iterator[groups.Tally]:
    with groups.load(client(group, numbers), threads=2) as tally:
        yield tally
        time.sleep(0.5)
    assert tally.failures == []
    assert tally.done > 5


def answers(numbers: Ports) -> list[bool]:
    return [loopback.is_open(port) for port in numbers.values()]


def test_no_client_fails_while_the_ports_of_a_group_change(group: groups.Group) -> None:
    old = group.stations.first.ports
    free = loopback.free_ports(9)
    new = port_change.PortSet(ports.PortTriple(*free[:3]), ports.PortTriple(*free[3:6]))
    before, after = group.ports, dict(zip(("proxy", "http", "https"), free[6:], strict=True))
    try:
        with working(group, before):
            serve(group, old, new)
            follow(group, before, after)
            client(group, after)()
            serve(group, new, old)
            with working(group, after):
                follow(group, after, before)
                client(group, before)()
        with working(group, after):
            follow(group, after, None)
            serve(group, new, None)
            assert not any(answers(before))
    finally:
        serve(group, old, None)
        for one in group.stations.both():
            one.moved = None
