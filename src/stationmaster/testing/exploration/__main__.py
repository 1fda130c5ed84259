"""``python -m stationmaster.testing.exploration``: all worlds, for a given time; exit status 1 when one breaks."""

from __future__ import annotations

import argparse
import sys

from stationmaster.host import clock as clocks
from stationmaster.testing.exploration import explore, state

GROUPS = {"own": (0, 1), "shared": (0, 0), "three": (0, 0, 1)}


def main() -> int:
    """Each group in turn, with as many faults as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=1)
    parser.add_argument("--releases", type=int, default=1)
    parser.add_argument("--removals", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0, help="per group")
    parser.add_argument("--group", choices=sorted(GROUPS), action="append")
    given = parser.parse_args()
    is_broken = False
    for name in given.group or ["own", "shared"]:
        is_broken |= _explore(name, given)
    return int(is_broken)


def _explore(name: str, given: argparse.Namespace) -> bool:
    clock = clocks.SystemClock()
    until = clock.monotonic() + 60 * given.minutes
    start = state.first(GROUPS[name], faults=given.faults, releases=given.releases, removals=given.removals)
    found = explore.explore(start, may_go_on=lambda _: clock.monotonic() < until)
    extent = "all of them" if found.is_complete else "not all: the time was over"
    sys.stdout.write(f"{name}: {found.states} states ({extent}), at most {found.longest_way} units from rest\n")
    if found.violation:
        sys.stdout.write(f"  {found.violation}\n")
        sys.stdout.writelines(f"    {event} {index}\n" for event, index in found.story)
    return bool(found.violation)


if __name__ == "__main__":
    sys.exit(main())
