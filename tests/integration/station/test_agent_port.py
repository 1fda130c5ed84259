"""The agent-check port of a station, over real sockets."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator

import pytest

from stationmaster.host import line_server
from stationmaster.station import agent_port, readiness
from stationmaster.station import board as boards
from stationmaster.station import names as station_names
from stationmaster.testing import loopback, manual_clock
from stationmaster.testing import stations as make


@dataclasses.dataclass
class Bench:
    board: boards.Board
    clock: manual_clock.ManualClock
    port: agent_port.AgentPort


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = manual_clock.ManualClock()
    wanted = make.desired(agent_port=loopback.free_ports(1)[0], balancer_addresses=["127.0.0.9", "::1"])
    board = boards.Board(make.snapshot(desired=wanted))
    names = station_names.Names(lambda _: (), clock, {})

    def verdict() -> readiness.Verdict:
        return readiness.judge(board.read(), make.NOW_AT, make.NOW)

    made = agent_port.AgentPort(board, clock, names, ("127.0.0.1",), verdict)
    yield Bench(board, clock, made)
    made.close()


def ask(port: int, source: str = "127.0.0.1") -> bytes:
    with socket.create_connection(("127.0.0.1", port), 3, source_address=(source, 0)) as connection:
        return connection.recv(100)


def test_it_answers_and_follows_its_port(bench: Bench) -> None:
    desired = bench.board.read().desired
    assert desired is not None
    bench.port.keep()
    assert ask(desired.agent_port) == b"10% #returning\n"
    bench.clock.advance(40)
    bench.port.keep()
    assert ask(desired.agent_port) == b"100% #ready\n"
    moved = make.desired(agent_port=loopback.free_ports(2)[1], is_draining=True)
    bench.board.update(desired=moved)
    bench.port.keep()
    assert ask(moved.agent_port) == b"0% #draining\n"
    with pytest.raises(ConnectionRefusedError):
        ask(desired.agent_port)


def test_strangers_hear_nothing(bench: Bench) -> None:
    bench.port.keep()
    assert bench.port.say("127.0.0.9") is not None
    assert bench.port.say("10.0.0.9") is None
    served = line_server.LineServer(("127.0.0.1",), loopback.free_ports(3)[2], lambda _: None)
    served.close()


def test_a_taken_port_is_told_and_taken_later(bench: Bench) -> None:
    desired = bench.board.read().desired
    assert desired is not None
    with socket.create_server(("127.0.0.1", desired.agent_port)):
        bench.port.keep()
        assert bench.port.problem is not None
        assert bench.port.problem.code == "AgentPortTaken"
        assert str(desired.agent_port) in bench.port.problem.message
    bench.clock.advance(6)
    bench.port.keep()
    assert bench.port.problem is None
    assert ask(desired.agent_port).endswith(b"% #returning\n")


def test_callers_that_hang_up_or_wait_keep_nobody_waiting() -> None:
    port = loopback.free_ports(4)[3]
    server = line_server.LineServer(("127.0.0.1", "127.0.0.5"), port, lambda caller: caller.encode())
    try:
        idle = [socket.create_connection(("127.0.0.1", port), 3) for _ in range(20)]
        socket.create_connection(("127.0.0.1", port), 3).close()
        assert ask(port, "127.0.0.2") == b"127.0.0.2"
        for one in idle:
            one.close()
    finally:
        server.close()
    with pytest.raises(ConnectionRefusedError):
        ask(port)
