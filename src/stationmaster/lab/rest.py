"""When a group has come to rest: every station ready, and showing the same, as clients and people see it.

What a test or the chaos suite does next counts only from there: a station that has just been told of a generation is
behind for the length of a heartbeat, and that is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Mapping

from stationmaster.lab import machines, waiting
from stationmaster.lab.world import World
from stationmaster.model import errors


def shown_generation(station: machines.Station, source_id: str) -> str:
    """The generation that a station's list names to its clients; empty when it names none or does not answer."""
    url = f"http://{station.on.address}:{station.http_port}/m/{source_id}"
    listed = station.on.run(["curl", "-sf", "-m", "5", url])
    return listed.stdout.strip().rstrip("/").rpartition("/")[2] if listed.is_success else ""


def unrest(world: World, newest: Mapping[str, tuple[str, bytes]]) -> list[str]:
    """What is still to happen, in words.

    ``newest``: for sources of which it is known, the path of the root document and what should be there.
    """
    found = []
    shown: dict[str, set[str]] = {source_id: set() for source_id in world.sources.values()}
    for name, station in world.stations.items():
        health = station.health()
        if not health.startswith("200"):
            found.append(f"{name} says {health or 'nothing'}")
            continue
        for source_id, seen in shown.items():
            seen.add(shown_generation(station, source_id))
    for kind, source_id in world.sources.items():
        if len(shown[source_id]) > 1 or "" in shown[source_id]:
            found.append(f"{kind} is shown as {', '.join(sorted(shown[source_id]))}")
        elif source_id in newest and shown[source_id]:
            generation = shown[source_id].copy().pop()
            path, wanted = newest[source_id]
            if _root(world, f"/g/{source_id}/{generation}/{path}") != wanted.decode(errors="replace"):
                found.append(f"{kind} is shown as {generation}, which is not what upstream has")
    return found or _unsynced(world)


def wait_until_settled(
    world: World, seconds: float = 90.0, newest: Mapping[str, tuple[str, bytes]] | None = None
) -> None:
    """Wait until nothing is left to happen; HostError with what was left."""
    last: list[str] = []

    def is_settled() -> bool:
        last[:] = unrest(world, newest or {})
        return not last

    try:
        waiting.until(is_settled, seconds, "the group to come to rest", every=0.3)
    except errors.HostError as exc:
        raise errors.HostError(f"The group did not come to rest in {seconds:g} s: {'; '.join(last)}") from exc


def _root(world: World, path: str) -> str:
    station = next(iter(world.stations.values()))
    return station.on.run(["curl", "-sf", "-m", "5", f"http://{station.on.address}:{station.http_port}{path}"]).stdout


def _unsynced(world: World) -> list[str]:
    found = []
    for name, station in world.stations.items():
        try:
            mirrors = world.desk.call("ManagementStationClient", "list_mirrors", station.station_id).data.items
        except errors.PeerError as exc:
            return [exc.message]
        states = {mirror.id: mirror.state for mirror in mirrors}
        for kind, source_id in world.sources.items():
            if states.get(source_id) != "SYNCED":
                found.append(f"{kind} on {name} is {states.get(source_id, 'not listed')}")
    return found
