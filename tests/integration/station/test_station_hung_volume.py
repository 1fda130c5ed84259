"""A mount that answers nothing: a FUSE file system whose server never reads. Everything that looks at it hangs."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from stationmaster.model import protocol

if TYPE_CHECKING:
    from conftest import Station

SOURCE = "ocid1.osmhsoftwaresource.oc1.test.rpms"


@contextlib.contextmanager
def hung(directory: Path) -> Iterator[None]:
    """Mounted over ``directory``; afterwards what was there is there again."""
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as exc:
        pytest.skip(f"no FUSE here: {exc}")
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other"
    done = subprocess.run(
        ["mount", "-i", "-t", "fuse", "-o", options, "hung", directory],
        pass_fds=[server],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        os.close(server)
        pytest.skip(f"no FUSE mount here: {done.stderr}")
    try:
        yield
    finally:
        os.close(server)  # whoever waits gets an error now
        subprocess.run(["umount", "-l", directory], check=True, timeout=20)


def ask_daemon(station: Station) -> tuple[float, bytes]:
    """At the daemon's own socket: how long it took, and what it said."""
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(station.state / "daemon.sock"))
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        said = b""
        while piece := connection.recv(65536):
            said += piece
    return time.monotonic() - begun, said


def occupy(station: Station, path: str) -> None:
    """A client that asks for a file and waits for it: it holds a worker of nginx."""
    made = http.client.HTTPConnection("127.0.0.1", station.ports.http, timeout=30, source_address=("127.0.0.2", 0))
    with contextlib.closing(made) as connection, contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        connection.getresponse().read()


def test_a_hung_volume_is_said_survived_and_recovered_from(station: Station) -> None:
    assert station.register().returncode == 0
    path = station.state / "station.json"
    content = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**content, "volumeTimeoutSeconds": 3.0}))
    station.start()
    station.until_synced()
    pinned = station.get(f"/m/{SOURCE}").body.decode().strip().partition("/g/")[2]
    with hung(station.mirror):
        begun = time.monotonic()
        clients = [
            threading.Thread(target=occupy, args=(station, f"/g/{pinned}Packages/p{number}.rpm"), daemon=True)
            for number in range(8)
        ]
        for client in clients:
            client.start()
        station.until("the daemon says so", lambda: b"VolumeSilent" in ask_daemon(station)[1], 8.0)
        assert time.monotonic() - begun < 8.0
        assert ask_daemon(station)[0] < 1.0
        beats = len(station.hub.beats)
        station.until("heartbeats go on", lambda: len(station.hub.beats) > beats + 3, 5.0)
        last = station.hub.last
        assert last is not None
        assert last.readiness is protocol.Readiness.NO
        assert "VolumeSilent" in [one.code for one in last.reasons]
        # nginx has workers again that do not look at the volume, so a balancer hears the reason as well.
        station.until("nginx answers", lambda: "VolumeSilent" in station.health()[1], 20.0)
        answer = station.get(f"/g/{pinned}Packages/p3.rpm")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    station.until_ready(30.0)
    assert station.get(f"/g/{pinned}Packages/p3.rpm").body == bytes([3]) * 5000
