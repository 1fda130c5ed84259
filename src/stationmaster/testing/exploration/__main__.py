"""``python -m stationmaster.testing.exploration``: all worlds, for a given time; exit status 1 when one breaks."""

from __future__ import annotations

import argparse
import sys

from stationmaster.host import clock as clocks
from stationmaster.testing.exploration import explore, scenarios


def main() -> int:
    """Each scenario in turn, with as many faults as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, help="instead of those of the scenario")
    parser.add_argument("--minutes", type=float, default=10.0, help="per scenario")
    parser.add_argument("--scenario", choices=sorted(scenarios.SCENARIOS), action="append", help="default: all")
    given = parser.parse_args()
    is_broken = False
    for name in given.scenario or scenarios.SCENARIOS:
        is_broken |= _explore(name, given)
    return int(is_broken)


def _explore(name: str, given: argparse.Namespace) -> bool:
    clock, start = clocks.SystemClock(), scenarios.SCENARIOS[name].start(given.faults)
    until = clock.monotonic() + 60 * given.minutes
    found = explore.explore(start, may_go_on=lambda _: clock.monotonic() < until)
    extent = "all of them" if found.is_complete else "not all: the time was over"
    sys.stdout.write(f"{name}: {found.states} worlds ({extent}), at most {found.longest_way} units from rest\n")
    if found.violation:
        sys.stdout.write(f"  {found.violation}\n")
        sys.stdout.writelines(f"    {event} {index}\n" for event, index in found.story)
    sys.stdout.flush()
    return bool(found.violation)


if __name__ == "__main__":
    sys.exit(main())
