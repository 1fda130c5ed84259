"""How a run in a lab ends: taken down undisturbed, its logs kept when it failed, leftovers of others removed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from stationmaster.host import files
from stationmaster.lab import lab, record

KEPT = "kept"


def tidy(base: Path = record.BASE) -> list[str]:
    """Remove labs whose process ended without doing so; those kept on purpose stay. Returns their ids."""
    removed = []
    for made in record.find_records(base):
        if not record.is_alive(made.owner) and KEPT not in made.note:
            lab.remove_lab(made)
            removed.append(made.lab_id)
    return removed


def save_logs(made: lab.Lab, base: Path) -> Path:
    """Copy the logs of a failed run out of the lab, over those of the failed run before."""
    effects = files.Files()
    target = base / "last-failure"
    effects.remove_tree(target)
    for spec in made.plan.hosts:
        place = made.directory / spec.name
        for path in [
            *place.glob("*.log"),
            *place.glob("state/log/*"),
            *place.glob("*.cfg"),
            *place.glob("state/*.conf"),
        ]:
            if path.is_file():
                effects.make_directory(target / spec.name)
                effects.copy(path, target / spec.name / path.name)
    return target


def close_undisturbed(made: lab.Lab) -> None:
    """Take a lab down without being interrupted half-way by an impatient second Ctrl-C."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        made.close()
    finally:
        signal.signal(signal.SIGINT, former)


@contextlib.contextmanager
def terminations_are_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP end a demo as Ctrl-C does, with everything removed, wherever it was started from."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGINT is ignored in a background job
    former = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
