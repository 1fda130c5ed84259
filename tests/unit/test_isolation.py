from __future__ import annotations

import socket
import subprocess

import pytest
import pytest_socket


def test_unit_tests_cannot_open_sockets() -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(pytest_socket.SocketBlockedError):
        socket.create_connection(("127.0.0.1", 9))


def test_unit_tests_cannot_start_processes() -> None:
    with pytest.raises(AssertionError, match="started a process"):
        subprocess.run(["true"], check=True)
