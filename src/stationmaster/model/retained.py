"""Which numbers of a source no station can show any more (ha-protocol R12-R18): their retention begins to run. Pure."""

from __future__ import annotations

from collections.abc import Iterable

KEPT_GENERATIONS = 2


def numbers_left(numbered: Iterable[tuple[int, str]], shown: Iterable[int]) -> list[int]:
    """Of numbers with their generations, those below every number in ``shown``, but for the newest two generations.

    ``shown`` are the numbers that stations showed when they were last heard: each may have gone forward since, none
    back. So what lies above the lowest of them may be shown for ever by a station that is silent.
    """
    lowest = min(shown, default=0)
    found: list[int] = []
    kept: list[str] = []
    for number, generation in sorted(numbered, reverse=True):
        if generation not in kept:
            kept.append(generation)
        if len(kept) > KEPT_GENERATIONS and number < lowest:
            found.append(number)
    return found
