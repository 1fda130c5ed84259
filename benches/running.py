"""Running what is measured: a command with the operating system's own accounting, a real web server, turns of pairs."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stationmaster.lab import web

STATIONMASTER = Path(sys.executable).with_name("stationmaster")
HOST = "127.80.18.9"  # of loopback; port 80, since apt-mirror loses its files where an address has a port
URL = f"http://{HOST}"
_LONGEST_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a command: wall seconds, seconds of processor, peak resident bytes, what it printed."""

    wall: float
    processor: float
    peak_bytes: int
    stdout: str

    @property
    def told(self) -> Mapping[str, Any]:
        """The JSON object that it printed."""
        return json.loads(self.stdout)  # type: ignore[no-any-return]


def timed(arguments: Sequence[str | Path]) -> Run:
    """Run to the end, with a bound; a failure ends the bench.

    GNU time stands between: a child begins with the peak memory of whoever started it, and this process is large.
    """
    with tempfile.NamedTemporaryFile("r") as account:
        measured = ["/usr/bin/time", "-q", "-o", account.name, "-f", "%U %S %M", "timeout", str(_LONGEST_SECONDS)]
        started = time.perf_counter()
        done = subprocess.run(
            [*measured, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        wall = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{' '.join(str(one) for one in arguments)} failed: {done.stdout[-1500:]}")
        user, system, peak = account.read().split()
    return Run(wall, float(user) + float(system), int(peak) * 1024, done.stdout)


@contextmanager
def served(site: Path, work: Path) -> Iterator[None]:
    """A real nginx with one worker on loopback, at ``URL``."""
    configuration = work / "nginx.conf"
    rendered = web.render_nginx(site, work, port=80)
    configuration.write_text(rendered.replace("listen 80;", f"listen {HOST}:80;"))
    process = subprocess.Popen(["nginx", "-p", work, "-e", work / "error.log", "-c", configuration])
    try:
        time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(10)


def sync(destination: Path, name: str, *options: str | Path) -> Run:
    """One `mirror sync --json` of one source."""
    return timed([STATIONMASTER, "mirror", "sync", "--name", name, "--dest", destination, "--json", *options])


def fresh_mirror(destination: Path) -> Path:
    """An empty marked volume."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([STATIONMASTER, "mirror", "init", "--dest", destination], check=True, stdout=subprocess.DEVNULL)
    return destination


def settle() -> None:
    """Each begins with flushed disks: ours brings its files to the disk, and should not bring others' as well."""
    os.sync()


def seconds(runs: Sequence[Run]) -> str:
    """The median, with what it came from when the machine was noisy."""
    walls = [run.wall for run in runs]
    return f"{statistics.median(walls):.2f} s ({min(walls):.2f}-{max(walls):.2f})"


def ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """The median of the ratios, turn by turn: a machine that slows down slows both."""
    return _median_of([mine.wall / other.wall for mine, other in zip(ours, theirs, strict=True)])


def processor_ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """The same of processor time, which says more where others keep the machine busy."""
    return _median_of([mine.processor / other.processor for mine, other in zip(ours, theirs, strict=True)])


def _median_of(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
