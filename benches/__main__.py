"""`make bench`: run the benches, print one table, write it to bench-results/ (not committed: it is of a day)."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
from pathlib import Path

from benches import deb_mirroring, rpm_mirroring, scaling

PARTS = ("rpm", "deb", "scaling")


def main() -> None:
    """Measure and print; the first run builds the repositories, which takes minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--rpm-packages", type=int, default=3000)
    parser.add_argument("--deb-packages", type=int, default=2000)
    parser.add_argument("--metadata-packages", type=int, default=65_000)
    parser.add_argument("--sources", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3, help="turns of each pair (default: 3)")
    chosen = parser.parse_args()
    cache = Path(".state/bench-cache").resolve()
    cache.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str]] = []
    for part in chosen.part or PARTS:
        with tempfile.TemporaryDirectory(prefix="sm-bench-", dir=".state") as name:
            work = Path(name).resolve()
            if part == "rpm":
                rows += rpm_mirroring.measure(work, cache, packages=chosen.rpm_packages, turns=chosen.turns)
            elif part == "deb":
                rows += deb_mirroring.measure(work, cache, packages=chosen.deb_packages, turns=chosen.turns)
            else:
                rows += scaling.measure(
                    work, sources=chosen.sources, packages=chosen.metadata_packages, turns=chosen.turns
                )
    _report(rows, chosen.turns)


def _report(rows: list[tuple[str, str]], turns: int) -> None:
    now = datetime.datetime.now(datetime.UTC)
    width = max(len(name) for name, _ in rows)
    load = f"load {os.getloadavg()[1]:.1f} of the last 5 minutes"
    lines = [
        f"{now:%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, {load}",
        f"Medians of {turns} turns, lowest and highest in parentheses; ratios are taken turn by turn.",
        *(f"{name:<{width}}  {value}" for name, value in rows),
    ]
    text = "\n".join(lines) + "\n"
    results = Path("bench-results")
    results.mkdir(exist_ok=True)
    (results / f"{now:%Y%m%dT%H%M%SZ}.txt").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
