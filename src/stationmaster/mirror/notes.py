"""What of an upstream's content the operator should know although the sync goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib import parse

from stationmaster.mirror import fileref

_MOST_HOSTS = 10


class Notes:
    """Looks at each reference once, while it passes."""

    def __init__(self) -> None:
        self._hosts: dict[str, None] = {}
        self._weak = ""

    def passing(self, refs: Iterable[fileref.FileRef]) -> Iterator[fileref.FileRef]:
        """The references, looked at."""
        for ref in refs:
            if ref.checksum.algorithm == "sha1":
                self._weak = self._weak or ref.path
            if ref.base and len(self._hosts) < _MOST_HOSTS:
                self._hosts[parse.urlsplit(ref.base).netloc] = None
            yield ref

    def warnings(self) -> tuple[str, ...]:
        """One sentence for each kind of finding."""
        found = []
        if self._weak:
            found.append(f"Packages are named by SHA-1 checksums alone, which can be forged: {self._weak}, for one.")
        if self._hosts:
            found.append(
                f"Some packages lie at {', '.join(self._hosts)} by xml:base. They are held here as well, but clients "
                "follow the metadata to those hosts."
            )
        return tuple(found)
