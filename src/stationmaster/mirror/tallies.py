"""What a generation adds up to; different contents in eight bytes each: a set of a million digests takes a hundred."""

from __future__ import annotations

import array
import dataclasses

from stationmaster.mirror import fileref, manifest

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


@dataclasses.dataclass
class Totals:
    """What a generation is made of, and what of it is missing."""

    packages: int = 0
    files: int = 0
    size: int = 0
    missing_files: int = 0
    missing_bytes: int = 0
    tops: set[str] = dataclasses.field(default_factory=set)
    contents: Tally = dataclasses.field(default_factory=Tally)

    def count(self, entry: manifest.Entry) -> None:
        """One more path."""
        self.files += 1
        self.size += max(0, entry.s)
        if entry.k == fileref.Kind.METADATA.value:
            self.tops.add(entry.p.partition("/")[0])
        elif entry.k == fileref.Kind.PACKAGE.value:
            self.packages += 1
            self.contents.add(entry.d or entry.u)
