"""Asking a program through its Unix socket, one question a connection (HAProxy's runtime interface)."""

from __future__ import annotations

import socket
from pathlib import Path

from stationmaster.model import errors


def ask(path: Path, question: str, *, timeout: float = 2.0) -> str:
    """The answer to one line; HostError when nobody answers in time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(question.encode() + b"\n")
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
    except OSError as exc:
        raise errors.HostError(f"No answer through {path}: {exc.strerror or exc}.") from exc
    return b"".join(pieces).decode(errors="replace").strip()
