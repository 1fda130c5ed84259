"""Runs commands in processes that are killed at a chosen effect: `python -m stationmaster.testing.kill_driver`.

Reads one JSON object a line (``arguments``, ``below``, ``effects``) and answers with one (``status``, ``output``,
``count``). Each command runs in a fork, with the product as it is: the interpreter's own audit events count what it
does to files below a directory, before it is done, and the process sends itself SIGKILL at the n-th. Bytes written to
downloads count, too, and the one at which it dies is left half written. Forking saves the half second that a start of
the interpreter takes on a busy machine, and makes hundreds of points affordable.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

from stationmaster.cli import main as command
from stationmaster.cli import mirror, mirror_repair, mirror_run
from stationmaster.host import clock, files, http
from stationmaster.mirror import deb, engine, inspection, publish, retention, rpm, stage

_PRELOADED = (mirror, mirror_repair, mirror_run, clock, http, deb, engine, inspection, publish, retention, rpm, stage)
_EFFECTS = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.chmod"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _Fate:
    """Counts effects in memory that outlives the process, and ends it."""

    def __init__(self, below: str, effects: int | None, count: mmap.mmap) -> None:
        self._below = below
        self._left = effects
        self._count = count

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The interpreter is about to do something."""
        is_effect = event in _EFFECTS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING)
        if is_effect and any(str(one).startswith(self._below) for one in arguments[:2] if isinstance(one, str | Path)):
            self.spend()

    def spend(self) -> bool:
        """One effect; True when it is the last."""
        self._count[:8] = (int.from_bytes(self._count[:8], "little") + 1).to_bytes(8, "little")
        if self._left is None:
            return False
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._left == 0


class _DyingFiles(files.Files):
    """Writes to downloads are effects."""

    fate: _Fate

    def open_append(self, path: Path) -> BinaryIO:
        """The stream, whose last write is half a write."""
        stream = super().open_append(path)
        return _DyingStream(stream, self.fate)  # type: ignore[return-value]


class _DyingStream:
    def __init__(self, stream: BinaryIO, fate: _Fate) -> None:
        self._stream = stream
        self._fate = fate

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, content: bytes) -> int:
        if self._fate.spend():
            self._stream.write(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return self._stream.write(content)

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        self._stream.close()


def _run_child(order: dict[str, Any], count: mmap.mmap, output: int) -> None:
    os.dup2(output, 1)
    fate = _Fate(order["below"], order["effects"], count)
    _DyingFiles.fate = fate
    files.Files = _DyingFiles  # type: ignore[misc]
    sys.addaudithook(fate.audit)
    status = 70
    try:
        status = command.run(order["arguments"])
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 - the last edge of this process: whoever reads the driver's errors wants to know
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _orders() -> Iterator[dict[str, Any]]:
    while line := sys.stdin.readline():
        yield json.loads(line)


def main() -> None:
    """Until the orders end."""
    for order in _orders():
        count, output = mmap.mmap(-1, 8), os.memfd_create("output")
        child = os.fork()
        if child == 0:
            _run_child(order, count, output)
        _, waited = os.waitpid(child, 0)
        os.lseek(output, 0, os.SEEK_SET)
        with os.fdopen(output, "rb") as stream:
            text = stream.read().decode()
        done = int.from_bytes(count[:8], "little")
        answer = {"status": os.waitstatus_to_exitcode(waited), "output": text, "count": done}
        sys.stderr.flush()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
