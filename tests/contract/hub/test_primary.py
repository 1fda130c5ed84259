"""R8 on real servers: fail-over to a standby behind a pooler whose connections do not break, and a frozen replica."""

from __future__ import annotations

import contextlib
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stationmaster.host import clock
from stationmaster.hub.db import primary, schema
from stationmaster.hub.db.store import Kind, Store

pytestmark = pytest.mark.postgres
BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


class Cluster:
    """One PostgreSQL server in a directory, reached through a socket there."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.socket = str(directory / ".s.PGSQL.5432")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.directory}"

    def run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_user, BIN / program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def control(self, *what: str) -> None:
        self.run("pg_ctl", "-D", str(self.directory / "data"), "-w", *what)

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.directory} -c fsync=off"
        self.control("-o", options, "-l", str(self.directory / "log"), "start")

    def stop(self) -> None:
        self.control("-m", "immediate", "stop")


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with the hub's tables, and a standby that follows it."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="sm-pair-"))
    root.chmod(0o755)
    first, second = Cluster(root / "a"), Cluster(root / "b")
    for one in (first, second):
        one.directory.mkdir()
        if os.geteuid() == 0:
            shutil.chown(one.directory, "postgres", "postgres")
    first.run("initdb", "-D", str(first.directory / "data"), "-A", "trust", "-U", "postgres", "--no-sync")
    first.start()
    opened = Store(first.url, clock.SystemClock())
    opened.migrate()
    opened.transact(lambda tx: tx.execute(schema.settings.insert().values(name="n", value=0)))
    opened.close()
    copy = ["-h", str(first.directory), "-U", "postgres", "-D", str(second.directory / "data"), "-R", "--no-sync"]
    second.run("pg_basebackup", *copy, "-c", "fast")
    second.start()
    yield first, second
    for one in (first, second):
        with contextlib.suppress(subprocess.CalledProcessError):
            one.stop()
    shutil.rmtree(root)


class Pooler:
    """As a pooler in session mode that goes over to another server between two transactions; clients notice nothing."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.broken = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://postgres@127.0.0.1:{self.listener.getsockname()[1]}/postgres"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client:
            greeting = read_greeting(client)
            server, target = connect(self.target, greeting, client.sendall), self.target
            try:
                while asked := client.recv(1 << 16):
                    if target != self.target:
                        server.close()
                        server, target = connect(self.target, greeting, lambda _: None), self.target
                    server.sendall(asked)
                    self._answer(client, server)
            finally:
                self.broken += 1
                server.close()

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways until the server is ready outside of a transaction."""
        state = b""
        while state != b"I":
            readable, _, _ = select.select([client, server], [], [])
            if server in readable:
                kind, message = read_message(server)
                client.sendall(message)
                state = message[5:6] if kind == b"Z" else b""
            elif client in readable:
                asked = client.recv(1 << 16)
                if not asked:
                    raise EOFError
                server.sendall(asked)


def read_exactly(stream: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = stream.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def read_greeting(client: socket.socket) -> bytes:
    """The start-up packet; encryption is declined."""
    while True:
        size = read_exactly(client, 4)
        rest = read_exactly(client, struct.unpack("!I", size)[0] - 4)
        if struct.unpack("!I", rest[:4])[0] not in (80877103, 80877104):
            return size + rest
        client.sendall(b"N")


def read_message(server: socket.socket) -> tuple[bytes, bytes]:
    head = read_exactly(server, 5)
    return head[:1], head + read_exactly(server, struct.unpack("!I", head[1:])[0] - 4)


def connect(target: str, greeting: bytes, tell: Callable[[bytes], Any]) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.connect(target)
    server.sendall(greeting)
    kind = b""
    while kind != b"Z":
        kind, message = read_message(server)
        tell(message)
    return server


def write(store: Store, value: int, kind: Kind = Kind.DECISION) -> None:
    store.transact(lambda tx: tx.execute(schema.settings.update().values(value=value)), kind=kind)


def test_a_fail_over_is_noticed_though_no_connection_broke(pair: Any) -> None:
    first, second = pair
    pooler, told = Pooler(first.socket), []
    store = Store(pooler.url, clock.SystemClock(), pool_size=1)
    store.on_change = told.append
    store.prepare()
    for value in range(1, 4):
        write(store, value)
        assert store.look() is not None
    assert told == []

    # Only the standby is left: nothing is decided, and no fact is taken, so no heartbeat is confirmed.
    time.sleep(0.5)
    pooler.target = second.socket
    for kind in Kind:
        with pytest.raises(primary.NotDecidingError, match="standby"):
            write(store, 9, kind)
    with pytest.raises(primary.NotDecidingError, match="standby"):
        store.look()
    assert told == []

    second.control("promote")
    with pytest.raises(primary.ChangedError, match="changed"):
        write(store, 5)
    assert len(told) == 1
    write(store, 6)
    write(store, 7, Kind.FACT)
    assert len(told) == 1
    assert pooler.broken == 0, "the test is of a change that breaks no connection"

    # The old primary comes back: another server again.
    pooler.target = first.socket
    with pytest.raises(primary.NotDecidingError, match="changed"):
        write(store, 8)
    first.stop()
    first.start()
    assert len(told) == 2
    store.close()


def test_a_server_that_was_started_anew_is_noticed(pair: Any) -> None:
    first, _ = pair
    told: list[str] = []
    store = Store(first.url, clock.SystemClock(), pool_size=1)
    store.on_change = told.append
    write(store, 1)
    first.stop()
    first.start()
    with contextlib.suppress(Exception):
        write(store, 2)
    assert told, "also where a fresh connection was made without a word"
    write(store, 3)
    store.close()


def test_what_a_frozen_replica_holds_is_taken_from_it_in_time(pair: Any) -> None:
    """R2: a station that waits behind it must be answered within the six seconds of its confirmation."""
    first, _ = pair
    frozen, well = (Store(first.url, clock.SystemClock()) for _ in range(2))
    told: list[str] = []
    frozen.on_change = well.on_change = told.append
    is_held, attempts = threading.Event(), []

    def freeze(tx: Any) -> None:
        tx.execute(schema.settings.update().values(value=10))
        attempts.append(1)
        is_held.set()
        if len(attempts) == 1:
            time.sleep(primary.IDLE_SECONDS + 1)
            tx.execute(schema.settings.update().values(value=11))

    sleeper = threading.Thread(target=lambda: frozen.transact(freeze))
    sleeper.start()
    assert is_held.wait(10)
    began = time.monotonic()
    write(well, 12, Kind.FACT)
    waited = time.monotonic() - began
    sleeper.join(20)
    assert primary.IDLE_SECONDS - 1 < waited < primary.IDLE_SECONDS + 1
    assert len(attempts) == 2, "who woke tries again from the start"
    assert told == [], "a short sleep is no lost database"
    for one in (frozen, well):
        one.close()


def test_a_decision_waits_for_the_disk_whatever_the_server_is_set_to(pair: Any) -> None:
    first, _ = pair
    store = Store(f"{first.url}&options=-csynchronous_commit%3Doff", clock.SystemClock())
    for kind, level in ((Kind.DECISION, "on"), (Kind.FACT, "off")):
        with store.write(kind) as tx:
            assert tx.exec_driver_sql("SHOW synchronous_commit").scalar_one() == level
    store.close()


def test_a_user_without_any_rights_may_look(pair: Any) -> None:
    first, _ = pair
    owner = Store(first.url, clock.SystemClock())
    with owner.engine.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE plain LOGIN")
        connection.commit()
    owner.close()
    store = Store(first.url.replace("postgres@", "plain@"), clock.SystemClock())
    store.prepare()
    assert store.look() is not None
    store.close()
