"""Run in a network namespace of its own: one of two stations is cut off by a packet filter. Prints what clients saw."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stationmaster.testing import groups


def get(group: groups.Group) -> None:
    answer = group.fetch()
    assert answer.status == 200, answer


def connect(group: groups.Group) -> None:
    with groups.tunnel(group.ports["proxy"], group.stations.hub_port) as connection:
        groups.echo(connection)


def main() -> None:
    state = Path(tempfile.mkdtemp(prefix="sm-cut-"))
    try:
        with groups.two_stations() as stations:
            stations.recover()
            with groups.balanced(stations, state) as group:
                lost = next(one for one in stations.both() if one.name == group.served_by())
                rules = (
                    "table inet cut {\nchain output { type filter hook output priority 0; "
                    f"ip daddr {lost.place.address} drop; ip saddr {lost.place.address} drop; }}\n}}\n"
                )
                with (
                    groups.load(lambda: get(group)) as http,
                    groups.load(lambda: connect(group), threads=1) as proxy,
                ):
                    time.sleep(0.7)
                    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
                    time.sleep(3)
                    before = len(proxy.failures)
                    time.sleep(0.7)
        tallies = {"http": http, "proxy": proxy}
        found = {name: [one.done, len(one.failures), one.longest_stall] for name, one in tallies.items()}
        json.dump({**found, "late": len(proxy.failures) - before}, sys.stdout)
    finally:
        shutil.rmtree(state)


if __name__ == "__main__":
    main()
