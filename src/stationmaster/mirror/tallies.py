"""How many different contents there are, in eight bytes each: a set of a million digests takes a hundred."""

from __future__ import annotations

import array

_PARTS = 64


class Tally:
    """Counts different words; two that share their hash (one pair in ten billion repositories) count once."""

    def __init__(self) -> None:
        self._parts = [array.array("q") for _ in range(_PARTS)]

    def add(self, word: str) -> None:
        """One more, which may have been there before."""
        number = hash(word)
        self._parts[number % _PARTS].append(number)

    def distinct(self) -> int:
        """How many different ones came."""
        return sum(len(set(part)) for part in self._parts)
