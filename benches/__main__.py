"""`make bench`: run the benches, print one table, write it to bench-results/."""

from __future__ import annotations

import argparse
import datetime
import platform
import tempfile
from pathlib import Path

from benches import mirroring


def main() -> None:
    """Measure and print; the sizes can be chosen, since the full ones take minutes to build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=600, help="size of the RPM repository (default: 600)")
    parser.add_argument("--turns", type=int, default=3, help="turns of each pair (default: 3)")
    chosen = parser.parse_args()
    cache = Path(".state/bench-cache")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sm-bench-", dir=".state") as work:
        rows = mirroring.measure(Path(work).resolve(), cache.resolve(), packages=chosen.packages, turns=chosen.turns)
    now = datetime.datetime.now(datetime.UTC)
    width = max(len(name) for name, _ in rows)
    lines = [f"{now:%Y-%m-%d %H:%M} UTC, {platform.machine()}, medians of {chosen.turns} turns, one run"]
    lines += [f"{name:<{width}}  {value}" for name, value in rows]
    text = "\n".join(lines) + "\n"
    results = Path("bench-results")
    results.mkdir(exist_ok=True)
    (results / f"{now:%Y%m%dT%H%M%SZ}.txt").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
