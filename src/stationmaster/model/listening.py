"""Whether a station that is no equal of its peers may become one by the hub's answer (ha-protocol R2, R8). Pure.

A hub that comes from a backup, or whose database lost its last moments, does not know what its stations have shown
since. It must not call a station up to date that was away meanwhile: the station would be sent clients whose list names
what it lacks. So until a hub has heard all, it leaves the others as they are: who is ready stays so, since the group
cannot have gone on without it; who is not waits. And nobody who shows a higher number than the hub knows joins before
the hub has taken that number over and told the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def may_join(visible: Mapping[str, int], own: Mapping[str, int], others: Iterable[Mapping[str, int] | None]) -> bool:
    """``visible``, ``own`` and ``others`` are numbers by source: what the hub knows, what stations show.

    ``others`` are the other members while the hub listens, None for one that it has not heard since; none later.
    """
    return all(
        shown is not None and all(number <= visible.get(source, 0) for source, number in shown.items())
        for shown in (own, *others)
    )
